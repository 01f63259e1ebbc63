//! The figures, and how they are shown.

use std::fmt;

/// Measurements in the order in which they were made.
#[derive(Default)]
pub struct Table {
    rows: Vec<(&'static str, &'static str, Vec<f64>)>,
}

impl Table {
    /// Adds the figure of a round.
    pub fn add(&mut self, what: &'static str, who: &'static str, rate: f64) {
        match self.rows.iter_mut().find(|row| row.0 == what && row.1 == who) {
            Some(row) => row.2.push(rate),
            None => self.rows.push((what, who, vec![rate])),
        }
    }

    fn rates(&self, what: &str, who: &str) -> &[f64] {
        self.rows.iter().find(|row| row.0 == what && row.1 == who).map_or(&[], |row| &row.2)
    }

    /// The median of the ratios within the rounds.
    fn ratio(&self, (what, who): (&str, &str), (other, whose): (&str, &str)) -> f64 {
        let pairs = self.rates(what, who).iter().zip(self.rates(other, whose));
        median(pairs.map(|(a, b)| a / b).collect())
    }
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:34} {:10} {:>12} {:>12} {:>12}", "a second", "", "median", "least", "most")?;
        for (what, who, rates) in &self.rows {
            let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rates.iter().copied().fold(0.0, f64::max);
            writeln!(formatter, "{what:34} {who:10} {:12.0} {least:12.0} {most:12.0}", median(rates.clone()))?;
        }
        writeln!(formatter, "\n{:58} {:>6} {:>6}", "ratios", "found", "least")?;
        let one = "commits of 1 object";
        let hundred = "commits of 100 objects";
        let eight = "commits of 1 object, 8 clients";
        let inserts = "inserted objects, 1000 a commit";
        for (name, a, b, target) in [
            ("one-object commits / raw overwrite and flush", (one, "TelOS"), (one, "raw disk"), 0.9),
            ("100-object commits / raw overwrite and flush", (hundred, "TelOS"), (hundred, "raw disk"), 0.7),
            ("8 clients / one client", (eight, "TelOS"), (one, "TelOS"), 2.5),
            ("inserts / SQLite's", (inserts, "TelOS"), (inserts, "SQLite"), 1.5),
            ("hot loads / redb's", ("hot loads", "TelOS"), ("hot loads", "redb"), 0.7),
        ] {
            writeln!(formatter, "{name:58} {:6.2} {target:6.2}", self.ratio(a, b))?;
        }
        Ok(())
    }
}
