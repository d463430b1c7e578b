//! Medians and spread.

use std::fmt;

/// The figures of repeated runs.
pub struct Runs(Vec<f64>);

impl Runs {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        }
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        write!(f, "{:.3} ({least:.3} to {most:.3}, {} runs)", self.median(), self.0.len())
    }
}

/// Says whether a goal is met.
pub fn goal(what: &str, figure: f64, most: f64) {
    let verdict = if figure <= most { "met" } else { "MISSED" };
    println!("goal    {what}: {figure:.3}, at most {most}: {verdict}");
}
