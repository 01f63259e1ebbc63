//! The scanner: source text into tokens.

use alloc::string::String;
use alloc::vec::Vec;

use crate::source::{Position, SOURCE_LIMIT, SourceError};

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: Position,
    pub end: Position,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Name(String),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Symbol(String),
    /// Punctuation, operators and reserved words.
    Mark(&'static str),
    /// The end of a line, where it ends a statement.
    Newline,
    End,
}

/// Words that are no names.
const RESERVED: [&str; 27] = [
    "return",
    "self",
    "resend",
    "object",
    "of",
    "uses",
    "trait",
    "requires",
    "private",
    "const",
    "parent",
    "method",
    "native",
    "if",
    "else",
    "while",
    "for",
    "in",
    "try",
    "catch",
    "atomically",
    "nil",
    "true",
    "false",
    "and",
    "or",
    "not",
];

/// Words that are reserved only where a slot begins or an object literal does, and names elsewhere.
pub(crate) const SOFT: [&str; 10] =
    ["of", "uses", "requires", "private", "const", "parent", "method", "native", "object", "trait"];

const MARKS: [&str; 25] = [
    "==", "!=", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",", ";", ":", ".",
    "|", "@", "!",
];

/// Operators that symbols may name.
const OPERATORS: [&str; 11] = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%"];

/// All tokens of a source, `End` last.
pub(crate) fn scan(source: &str) -> Result<Vec<Token>, SourceError> {
    if source.len() > SOURCE_LIMIT {
        return Err(SourceError::new("", 0, "the source is longer than a mebibyte"));
    }
    let mut scanner = Scanner::new(source);
    while scanner.next()? {}
    Ok(scanner.tokens)
}

/// Whether a source ends inside a bracket or a text, so that another line may complete it.
#[must_use]
pub fn is_open(source: &str) -> bool {
    let mut scanner = Scanner::new(source);
    loop {
        match scanner.next() {
            Ok(true) => {}
            Ok(false) => return !scanner.open.is_empty(),
            // What is wrong already is not mended by another line.
            Err(_) => return scanner.is_in_text,
        }
    }
}

struct Scanner<'a> {
    source: &'a str,
    at: usize,
    /// Brackets that are open; inside round and square ones a newline means nothing.
    open: Vec<&'static str>,
    /// Whether a text has begun that has not ended.
    is_in_text: bool,
    tokens: Vec<Token>,
}

impl<'a> Scanner<'a> {
    fn new(source: &'a str) -> Self {
        Self { source, at: 0, open: Vec::new(), is_in_text: false, tokens: Vec::new() }
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|character| !keep(character)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or("")
    }

    fn error<T>(&self, at: usize, message: &str) -> Result<T, SourceError> {
        Err(SourceError::new(self.source, at as Position, message))
    }

    fn push(&mut self, start: usize, kind: Kind) {
        self.tokens.push(Token { kind, start: start as Position, end: self.at as Position });
    }

    /// Scans one token; `false` after the last.
    fn next(&mut self) -> Result<bool, SourceError> {
        self.take_while(|character| character == ' ' || character == '\t' || character == '\r');
        let start = self.at;
        let Some(first) = self.peek() else {
            self.push(start, Kind::End);
            return Ok(false);
        };
        if self.rest().starts_with("//") {
            self.take_while(|character| character != '\n');
            return Ok(true);
        }
        match first {
            '\n' => {
                self.at += 1;
                self.newline(start);
            }
            '\'' => {
                let text = self.text()?;
                self.push(start, Kind::Text(text));
            }
            '#' => {
                self.at += 1;
                let symbol = self.symbol(start)?;
                self.push(start, Kind::Symbol(symbol));
            }
            _ if self.rest().starts_with("x'") => {
                self.at += 1;
                let bytes = self.bytes(start)?;
                self.push(start, Kind::Bytes(bytes));
            }
            _ if first.is_ascii_digit() => {
                let kind = self.number(start)?;
                self.push(start, kind);
            }
            _ if is_name(first) => {
                let name = self.take_while(is_name);
                let kind = match RESERVED.iter().find(|word| **word == name) {
                    Some(word) => Kind::Mark(word),
                    None => Kind::Name(name.into()),
                };
                self.push(start, kind);
            }
            _ => self.mark(start)?,
        }
        Ok(true)
    }

    /// A newline counts unless a bracket is open or the next line goes on with a dot.
    fn newline(&mut self, start: usize) {
        let goes_on = self.rest().trim_start().starts_with('.');
        let open = matches!(self.open.last(), Some(&"(" | &"["));
        let doubled = matches!(self.tokens.last(), None | Some(Token { kind: Kind::Newline, .. }));
        if !goes_on && !open && !doubled {
            self.push(start, Kind::Newline);
        }
    }

    fn mark(&mut self, start: usize) -> Result<(), SourceError> {
        let Some(mark) = MARKS.iter().find(|mark| self.rest().starts_with(**mark)) else {
            return self.error(start, "this character means nothing here");
        };
        self.at += mark.len();
        match *mark {
            "(" | "[" | "{" => self.open.push(mark),
            ")" | "]" | "}" => {
                self.open.pop();
            }
            _ => {}
        }
        self.push(start, Kind::Mark(mark));
        Ok(())
    }

    fn symbol(&mut self, start: usize) -> Result<String, SourceError> {
        if let Some(operator) = OPERATORS.iter().find(|mark| self.rest().starts_with(**mark)) {
            self.at += operator.len();
            let mut name = String::from(*operator);
            name.push_str(self.arity());
            return Ok(name);
        }
        let mut name = String::from(self.take_while(is_name));
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return self.error(start, "a name or an operator must follow `#`");
        }
        if self.rest().starts_with("=/") {
            self.at += 1;
            name.push('=');
        }
        name.push_str(self.arity());
        Ok(name)
    }

    /// `/2` behind a symbol.
    fn arity(&mut self) -> &'a str {
        let rest = self.rest();
        let digits = rest
            .strip_prefix('/')
            .map_or(0, |rest| rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len());
        if digits == 0 {
            return "";
        }
        self.at += digits + 1;
        rest.get(..=digits).unwrap_or("")
    }

    fn number(&mut self, start: usize) -> Result<Kind, SourceError> {
        let digit = |character: char| character.is_ascii_digit() || character == '_';
        if self.rest().starts_with("0x") {
            self.at += 2;
            let digits =
                self.take_while(|character| character.is_ascii_hexdigit() || character == '_').replace('_', "");
            return match i64::from_str_radix(&digits, 16) {
                Ok(number) => Ok(Kind::Int(number)),
                Err(_) => self.error(start, "this is no hexadecimal number of 64 bits"),
            };
        }
        let mut text = String::from(self.take_while(digit));
        let mut rest = self.rest().chars();
        let fraction = rest.next() == Some('.') && rest.next().is_some_and(|next| next.is_ascii_digit());
        if fraction {
            self.at += 1;
            text.push('.');
            text.push_str(self.take_while(digit));
            if self.rest().starts_with(['e', 'E']) {
                self.at += 1;
                text.push('e');
                if self.rest().starts_with(['-', '+']) {
                    text.push(self.peek().unwrap_or('+'));
                    self.at += 1;
                }
                text.push_str(self.take_while(digit));
            }
        }
        if self.peek().is_some_and(is_name) {
            return self.error(self.at, "a number runs into a name here");
        }
        let text = text.replace('_', "");
        let number = if fraction { text.parse().ok().map(Kind::Float) } else { text.parse().ok().map(Kind::Int) };
        match number {
            Some(kind) => Ok(kind),
            None => self.error(start, "this number does not fit 64 bits"),
        }
    }

    fn text(&mut self) -> Result<String, SourceError> {
        let start = self.at;
        self.at += 1;
        self.is_in_text = true;
        let mut text = String::new();
        loop {
            let Some(character) = self.peek() else { return self.error(start, "this text has no end") };
            self.at += character.len_utf8();
            match character {
                '\'' => {
                    self.is_in_text = false;
                    return Ok(text);
                }
                '\\' => text.push(self.escape()?),
                _ => text.push(character),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SourceError> {
        let start = self.at - 1;
        let Some(character) = self.peek() else { return self.error(start, "this text has no end") };
        self.at += character.len_utf8();
        // An escape that means nothing is not mended by another line.
        self.is_in_text = false;
        let escaped = match character {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '\\' | '\'' => character,
            'u' if self.rest().starts_with('{') => {
                self.at += 1;
                let digits = self.take_while(|character| character.is_ascii_hexdigit());
                let found = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                let (Some(found), true) = (found, self.rest().starts_with('}')) else {
                    return self.error(start, "this is no character's number");
                };
                self.at += 1;
                found
            }
            _ => return self.error(start, "known are \\n \\t \\r \\\\ \\' and \\u{...}"),
        };
        self.is_in_text = true;
        Ok(escaped)
    }

    fn bytes(&mut self, start: usize) -> Result<Vec<u8>, SourceError> {
        let digits = self.text()?;
        let digits: Vec<u32> = digits.chars().filter(|c| *c != ' ').map(|c| c.to_digit(16).unwrap_or(16)).collect();
        if !digits.len().is_multiple_of(2) || digits.iter().any(|digit| *digit > 15) {
            return self.error(start, "a byte string is pairs of hexadecimal digits");
        }
        Ok(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8)).collect())
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
