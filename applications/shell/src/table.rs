//! Lists in columns, each as wide as what stands in it.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::text::Plain;

/// On which side of its column a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// For names.
    Left,
    /// For counts.
    Right,
}

/// A list: a row of headings, and rows below.
#[derive(Debug)]
pub struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A list with these columns.
    pub fn new(columns: &[(&str, Side)]) -> Self {
        let headings = columns.iter().map(|(heading, _)| (*heading).to_string()).collect();
        Table { sides: columns.iter().map(|(_, side)| *side).collect(), rows: vec![headings] }
    }

    /// Appends a row. Control characters in it are replaced.
    pub fn row<const N: usize>(&mut self, texts: [&str; N]) {
        self.rows.push(texts.iter().map(|text| Plain(text).to_string()).collect());
    }

    /// How many rows there are below the headings.
    pub fn len(&self) -> usize {
        self.rows.len() - 1
    }

    /// Whether there is no row below the headings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn width(&self, column: usize) -> usize {
        self.rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.sides.len()).map(|column| self.width(column)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((text, side), width) in row.iter().zip(&self.sides).zip(&widths) {
                let space = core::iter::repeat_n(' ', width.saturating_sub(text.chars().count()));
                match side {
                    Side::Left => {
                        line.push_str(text);
                        line.extend(space);
                    }
                    Side::Right => {
                        line.extend(space);
                        line.push_str(text);
                    }
                }
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_are_as_wide_as_their_widest() {
        let mut table = Table::new(&[("NAME", Side::Left), ("COUNT", Side::Right), ("WHY", Side::Left)]);
        assert!(table.is_empty());
        table.row(["a name that is long", "7", "b\nc"]);
        table.row(["ä", "1795487336634060", ""]);
        let expected = "\
NAME                            COUNT  WHY
a name that is long                 7  b\u{fffd}c
ä                    1795487336634060
";
        assert_eq!(table.to_string(), expected);
        assert_eq!(table.len(), 2);
    }

    proptest! {
        #[test]
        fn a_row_is_a_line(rows in prop::collection::vec(("(?s).{0,20}", "(?s).{0,20}"), 0..8)) {
            let mut table = Table::new(&[("A", Side::Left), ("B", Side::Right)]);
            for (left, right) in &rows {
                table.row([left, right]);
            }
            let text = table.to_string();
            prop_assert_eq!(text.split_terminator('\n').count(), rows.len() + 1);
            prop_assert!(!text.replace('\n', "").contains(char::is_control));
        }
    }
}
