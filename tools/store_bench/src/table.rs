//! The figures, and how they are shown.

use std::fmt;

use crate::load::Figure;

/// What a figure has to reach.
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// Measurements in the order in which they were made.
#[derive(Default)]
pub struct Table {
    rows: Vec<(&'static str, &'static str, Vec<Figure>)>,
    /// What is measured once, with its unit.
    whole: Vec<(&'static str, f64, &'static str, Target)>,
}

impl Table {
    /// Adds the figure of a round.
    pub fn add(&mut self, what: &'static str, who: &'static str, figure: Figure) {
        match self.rows.iter_mut().find(|row| row.0 == what && row.1 == who) {
            Some(row) => row.2.push(figure),
            None => self.rows.push((what, who, vec![figure])),
        }
    }

    /// Adds a figure that has a target of its own.
    pub fn add_whole(&mut self, what: &'static str, found: f64, unit: &'static str, target: Target) {
        self.whole.push((what, found, unit, target));
    }

    fn figures(&self, what: &str, who: &str) -> &[Figure] {
        self.rows.iter().find(|row| row.0 == what && row.1 == who).map_or(&[], |row| &row.2)
    }

    /// The median of the ratios within the rounds, of the rates and of the processor's time.
    fn ratios(&self, (what, who): (&str, &str), (other, whose): (&str, &str)) -> (f64, f64) {
        let pairs = || self.figures(what, who).iter().zip(self.figures(other, whose));
        let rates = median(pairs().map(|(a, b)| a.rate / b.rate).collect());
        (rates, median(pairs().map(|(a, b)| b.processor / a.processor).collect()))
    }
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:34} {:10} {:>12} {:>12} {:>12} {:>14}",
            "a second", "", "median", "least", "most", "processor, ns"
        )?;
        for (what, who, figures) in &self.rows {
            let rates = || figures.iter().map(|figure| figure.rate);
            let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
            let processor = median(figures.iter().map(|figure| figure.processor).collect());
            let middle = median(rates().collect());
            writeln!(formatter, "{what:34} {who:10} {middle:12.0} {least:12.0} {most:12.0} {processor:14.0}")?;
        }
        let one = "commits of 1 object";
        let hundred = "commits of 100 objects";
        let eight = "commits of 1 object, 8 clients";
        let inserts = "inserted objects, 1000 a commit";
        writeln!(formatter, "\n{:58} {:>8} {:>10} {:>8}  processor alone", "figure", "found", "target", "")?;
        for (name, a, b, target) in [
            ("one-object commits / raw overwrite and flush", (one, "TelOS"), (one, "raw disk"), 0.9),
            ("100-object commits / raw overwrite and flush", (hundred, "TelOS"), (hundred, "raw disk"), 0.7),
            ("8 clients / one client", (eight, "TelOS"), (one, "TelOS"), 2.5),
            ("inserts / SQLite's", (inserts, "TelOS"), (inserts, "SQLite"), 1.5),
            ("hot loads / redb's", ("hot loads", "TelOS"), ("hot loads", "redb"), 0.7),
        ] {
            let (found, processor) = self.ratios(a, b);
            let word = verdict(found >= target);
            writeln!(formatter, "{name:58} {found:8.2} {target:>10.2} {word:>8}  {processor:8.2}")?;
        }
        for (name, found, unit, target) in &self.whole {
            let (met, target) = match target {
                Target::AtLeast(target) => (found >= target, format!("> {target}")),
                Target::AtMost(target) => (found <= target, format!("< {target}")),
            };
            writeln!(formatter, "{name:58} {found:8.2} {target:>10} {:>8}  {unit}", verdict(met))?;
        }
        Ok(())
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}
