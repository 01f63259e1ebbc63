//! The tour: the system in a few steps, each of them real lines that are carried out as if they had been typed.
//!
//! A step says what is to be seen, and its lines say it to the system: what they print is what there is. The steps build
//! on each other; the last one takes away what the others named.

use alloc::format;
use alloc::string::String;

/// One step.
#[derive(Debug)]
pub struct Step {
    /// What is to be seen.
    pub text: &'static str,
    /// The lines.
    pub lines: &'static [&'static str],
}

/// The tour.
pub const STEPS: &[Step] = &[
    Step {
        text: "Everything in TelOS is an object, and everything is done by sending messages. This one is the memory server's object;\n\
               the message `statistics` becomes a call of the server, and its answer a map.",
        lines: &["MMS.name", "MMS.statistics"],
    },
    Step {
        text: "An object is made by saying what is in it: data and methods are slots alike. Names of the prompt are kept in the store.",
        lines: &[
            "account = object { name = 'account'; balance = 0; method deposit(n) { self.balance = self.balance + n; self } }",
            "account.deposit(5).deposit(2).balance",
        ],
    },
    Step {
        text: "There are no classes: an object that delegates to another has what that has, and its own besides. `resend` goes on there.",
        lines: &[
            "savings = object of account { name = 'savings'; method deposit(n) { resend.deposit(n + 1) } }",
            "savings.deposit(10); [savings.balance, account.balance]",
            "mirror(savings).explain(#deposit/1)",
        ],
    },
    Step {
        text: "Each line is a transaction: it is kept as a whole, or not at all. One that lasts longer is begun, seen in the prompt,\n\
               and committed or given up.",
        lines: &[
            "account.balance = 999; 1 / 0",
            "account.balance",
            "PS.beginTransaction(); account.balance = 1000; account.balance",
            "PS.abort(); account.balance",
        ],
    },
    Step {
        text: "Behaviour is put together of traits. Where two provide one message there is no winner: it is refused until you decide.",
        lines: &[
            "Walks = trait { method move { 'walks' } }; Swims = trait { method move { 'swims' } }",
            "duck = object uses Walks + Swims { }",
            "duck = object uses Walks + Swims.without(#move) { name = 'duck' }; duck.move",
        ],
    },
    Step {
        text: "A process is an object too: a clone of the prototype Process. `spawn` fills its slots in this transaction, and the thread\n\
               starts when that is committed.",
        lines: &["guest = Process.clone().spawn(images.test_proc, onceCapabilities)", "guest.wait()", "ps"],
    },
    Step {
        text: "The system is changed while it runs. A method that is added to the prototype Server is there in all servers at once, and\n\
               after a power cut too.",
        lines: &[
            "mirror(Server).define('method greet { \\'I am \\' + self.name }')",
            "[PS.greet, MMS.greet, PMS.greet]",
            "implementors greet",
        ],
    },
    Step {
        text: "What went wrong is said, with what might have been meant.",
        lines: &["account.depposit(1)", "a = (1 +]"],
    },
    Step {
        text: "Everything that you did is in the log, newest first, in the words in which you said it.",
        lines: &["txlog 3"],
    },
    Step {
        text: "That was the tour. `help` lists the commands; what the tour named goes.",
        lines: &[
            "mirror(Server).remove(#greet)",
            "for name in [#account, #savings, #Walks, #Swims, #duck, #guest] { mirror(self).remove(name) }",
        ],
    },
];

/// The heading of a step, counted from 0.
pub fn heading(number: usize, step: &Step) -> String {
    format!("--- tour, {} of {} ---\n{}\n", number + 1, STEPS.len(), step.text)
}

/// What is said after a step.
pub fn farewell(number: usize) -> &'static str {
    match number + 1 < STEPS.len() {
        true => "--- `tour` goes on ---\n",
        false => "--- the end ---\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse;
    use crate::lines::{Line, line};
    use crate::oids::Oids;

    #[test]
    fn every_line_is_a_command_or_a_program() {
        for text in STEPS.iter().flat_map(|step| step.lines) {
            match line(text) {
                Line::Command => assert!(parse(text, &Oids::default()).is_ok(), "{text}"),
                other => assert_eq!(other, Line::Program, "{text}"),
            }
            assert!(!language::is_open(text) || text.contains('('), "{text}");
        }
    }

    #[test]
    fn steps_are_counted_from_one() {
        assert!(heading(0, &STEPS[0]).starts_with(&format!("--- tour, 1 of {} ---\n", STEPS.len())));
        assert!(farewell(0).contains("goes on"));
        assert!(farewell(STEPS.len() - 1).contains("the end"));
    }
}
