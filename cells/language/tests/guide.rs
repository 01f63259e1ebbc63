//! The examples of the guide.

mod support;

use support::Workspace;

#[test]
fn every_example_answers_what_it_says() {
    let guide = include_str!("../GUIDE.md");
    let mut workspace = Workspace::new();
    let mut examples = 0;
    // Every second part is inside a fence; a fence with a language is no session.
    for part in guide.split("```").skip(1).step_by(2).filter(|part| part.starts_with('\n')) {
        for example in format!("\n{}", part.trim()).split("\n> ").skip(1) {
            let (source, expected) = example.split_once('\n').unwrap_or((example, ""));
            let answer = match workspace.run(source) {
                Ok(outcome) if outcome.is_something => outcome.text,
                Ok(_) => String::new(),
                Err(error) => {
                    // The sends are not shown in the guide, nor the places of objects without a name.
                    let trace = error.trace.len();
                    let text = error.to_string();
                    let lines: Vec<&str> = text.lines().collect();
                    without_places(&lines[..lines.len() - trace].join("\n"))
                }
            };
            assert_eq!(answer, expected.trim_end(), "> {source}");
            examples += 1;
        }
    }
    assert!(examples > 50, "{examples} examples");
}

fn without_places(text: &str) -> String {
    let mut made = String::new();
    let mut after = false;
    for character in text.chars() {
        after = character == '~' || (after && character.is_ascii_digit());
        if !after || character == '~' {
            made.push(character);
        }
    }
    made
}
