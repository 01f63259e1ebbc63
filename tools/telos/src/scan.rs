//! The tokens of Rust source, and the search for `unsafe` among them.
//!
//! The compiler's `-F unsafe_code` does not see what another crate's macro expands to. So the word itself is looked
//! for in every token of every own crate that must do without, macro bodies included; comments and strings do not
//! count. The lexer is complete enough for that: strings of every kind, nested comments, character literals told from
//! lifetimes. Everything else is a word or a single character.

use std::path::{Path, PathBuf};

use crate::config::Allowed;
use crate::fail;
use crate::failure::{Context, Result};
use crate::project::{Project, read_text};

/// A token and the line that it starts on, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// As it stands in the source.
    pub text: &'a str,
    /// The line.
    pub line: usize,
}

/// Splits source into tokens; comments and white space are left out, a string is one token.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, counts) = next(rest, first);
        let (text, after) = rest.split_at(length);
        if counts {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length of the token at the start, and whether it counts.
fn next(rest: &str, first: char) -> (usize, bool) {
    if first.is_whitespace() {
        return (first.len_utf8(), false);
    }
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (comment(rest), false);
    }
    if let Some(length) = string(rest) {
        return (length, true);
    }
    if first == '\'' {
        return (quote(rest), true);
    }
    if is_word(first) {
        return (rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()), true);
    }
    (first.len_utf8(), true)
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The length of a block comment, which may hold others.
fn comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        let (step, change) = match () {
            () if tail.starts_with("/*") => (2, 1),
            () if tail.starts_with("*/") => (2, -1),
            () => (tail.chars().next().map_or(1, char::len_utf8), 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string literal of any kind, if one starts here.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|tail| match prefix.ends_with('r') {
            true => tail.trim_start_matches('#').starts_with('"'),
            false => tail.starts_with('"'),
        })
    })?;
    let tail = rest.get(prefix.len()..)?;
    if prefix.ends_with('r') {
        let hashes = tail.len() - tail.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let body = tail.get(hashes + 1..)?;
        let length = body.find(&close).map_or(body.len(), |at| at + close.len());
        return Some(prefix.len() + hashes + 1 + length);
    }
    Some(prefix.len() + quoted(tail, '"'))
}

/// The length of a literal between quotes, in which a backslash escapes.
fn quoted(rest: &str, close: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == close => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal, or of the quote that starts a lifetime.
fn quote(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 1,
    }
}

/// Fails if an own crate below `cells/` or `applications/` that must do without says `unsafe`, or takes source from
/// where this does not look.
///
/// # Errors
/// Each place as `file:line`.
pub fn check(project: &Project, allowed: &Allowed) -> Result<()> {
    let mut found = Vec::new();
    for room in ["cells", "applications"] {
        for folder in folders(&project.root.join(room))? {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !allowed.may_use_unsafe.contains_key(name) {
                scan_crate(project, &folder, &mut found)?;
            }
        }
    }
    if !found.is_empty() {
        fail!("cells are built without unsafe code:\n{}", found.join("\n"));
    }
    Ok(())
}

/// The folders in a folder, in order; none if it is not there.
fn folders(room: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(room) else {
        return Ok(Vec::new());
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.context(room.display())?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// A crate's sources, except for its host tests and benchmarks, which are in no cell.
fn scan_crate(project: &Project, folder: &Path, found: &mut Vec<String>) -> Result<()> {
    if folder.join("build.rs").exists() {
        found.push(format!("{}/build.rs: a cell has no build script", shown(project, folder)));
    }
    let mut queue: Vec<PathBuf> =
        folders(folder)?.into_iter().filter(|inner| !inner.ends_with("tests") && !inner.ends_with("benches")).collect();
    while let Some(inner) = queue.pop() {
        queue.extend(folders(&inner)?);
        let mut files: Vec<PathBuf> = std::fs::read_dir(&inner)
            .context(inner.display())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .collect();
        files.sort();
        for file in files {
            scan_source(&shown(project, &file), &read_text(&file)?, found);
        }
    }
    Ok(())
}

fn shown(project: &Project, path: &Path) -> String {
    path.strip_prefix(&project.root).unwrap_or(path).display().to_string()
}

fn scan_source(file: &str, source: &str, found: &mut Vec<String>) {
    let tokens = tokens(source);
    for (index, token) in tokens.iter().enumerate() {
        let after = |distance: usize| tokens.get(index + distance).map(|token| token.text);
        let line = token.line;
        match token.text {
            "unsafe" => found.push(format!("{file}:{line}: unsafe")),
            "include" if after(1) == Some("!") => found.push(format!("{file}:{line}: include! hides source")),
            "#" if after(1) == Some("[") && after(2) == Some("path") => {
                found.push(format!("{file}:{line}: #[path] hides source"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str) -> Vec<String> {
        let mut found = Vec::new();
        scan_source("x.rs", source, &mut found);
        found
    }

    #[test]
    fn finds_the_word_in_code_and_in_macro_bodies() {
        assert_eq!(findings("fn f() {\n unsafe { g() } }"), ["x.rs:2: unsafe"]);
        assert_eq!(findings("macro_rules! m { () => { unsafe { 1 } } }"), ["x.rs:1: unsafe"]);
        assert_eq!(findings("fn f<'a>(x: &'a u8) { let c = 'x'; unsafe {} }"), ["x.rs:1: unsafe"]);
        assert_eq!(findings("let q = '\\''; unsafe {}"), ["x.rs:1: unsafe"]);
        assert_eq!(findings("let q = b'\"'; unsafe {} // \""), ["x.rs:1: unsafe"]);
        assert_eq!(findings("r#unsafe"), ["x.rs:1: unsafe"]);
        assert_eq!(findings("/* /* */ */ unsafe"), ["x.rs:1: unsafe"]);
    }

    #[test]
    fn leaves_comments_strings_and_longer_words_alone() {
        let clean = "// unsafe\n/* unsafe /* unsafe */ unsafe */ \"unsafe \\\" unsafe\" r#\"unsafe \" unsafe\"# b\"unsafe\" unsafe_code";
        assert!(findings(clean).is_empty(), "{:?}", findings(clean));
    }

    #[test]
    fn finds_source_from_elsewhere() {
        assert_eq!(findings("#[path = \"../x.rs\"] mod x;").len(), 1);
        assert_eq!(findings("include!(\"x.in\");").len(), 1);
        assert!(findings("let x = include_bytes; include_str!(\"x\")").is_empty());
    }
}
