//! What was measured, as a table for people and as JSON for machines.

use std::fmt::Write;

use serde::Serialize;

use crate::latency::median;

/// One row: medians over the repetitions.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `a`, `a'`, `b` or `c`.
    pub path: &'static str,
    /// Callers at a time.
    pub callers: usize,
    /// Commands per second.
    pub per_second: u64,
    /// Half of the commands were not slower, µs; absent for (c).
    pub p50_micros: Option<u64>,
    /// 99 of 100 were not slower, µs; absent for (c).
    pub p99_micros: Option<u64>,
    /// Longest wait of a commit to be projected, µs; (a) only.
    pub lag_micros: Option<u64>,
    /// Connections; (b) only.
    pub pool: Option<u32>,
}

/// One repetition of one row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Commands per second.
    pub per_second: u64,
    /// µs.
    pub p50: u64,
    /// µs.
    pub p99: u64,
    /// µs.
    pub lag: u64,
}

/// The median of each figure.
pub fn middle(samples: &[Sample]) -> Sample {
    let of = |figure: fn(&Sample) -> u64| median(samples.iter().map(figure).collect());
    Sample { per_second: of(|s| s.per_second), p50: of(|s| s.p50), p99: of(|s| s.p99), lag: of(|s| s.lag) }
}

/// A ratio that somebody cares about.
#[derive(Debug, Clone, Serialize)]
pub struct Ratio {
    /// What over what.
    pub name: String,
    /// In hundredths.
    pub hundredths: u64,
    /// What it should be at least, in hundredths.
    pub at_least: Option<u64>,
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Of the server.
    pub postgres: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// How often each measurement was repeated; figures are medians.
    pub repetitions: usize,
    /// Events per command in the workload, in hundredths.
    pub events_per_command_hundredths: u64,
    /// The measurements.
    pub rows: Vec<Row>,
    /// Events per second of a rebuild from zero.
    pub rebuild_events_per_second: u64,
    /// Events that were rebuilt.
    pub rebuild_events: u64,
    /// Ratios.
    pub ratios: Vec<Ratio>,
}

impl Report {
    /// Works out the ratios.
    pub fn ratios(&mut self) {
        let find = |path: &str, callers: Option<usize>| {
            self.rows
                .iter()
                .find(|row| row.path == path && callers.is_none_or(|callers| row.callers == callers))
                .map(|row| row.per_second)
        };
        let mut ratios = Vec::new();
        let mut add = |name: String, over: Option<u64>, under: Option<u64>, at_least: Option<u64>| {
            if let (Some(over), Some(under)) = (over, under) {
                ratios.push(Ratio { name, hundredths: over.saturating_mul(100) / under.max(1), at_least });
            }
        };
        let mut levels: Vec<usize> = self.rows.iter().filter(|row| row.path == "a").map(|row| row.callers).collect();
        levels.dedup();
        for callers in levels {
            let at = Some(callers);
            let wanted = match callers {
                1 => Some(100),
                512 => Some(300),
                _ => None,
            };
            add(format!("a / b at {callers}"), find("a", at), find("b", at), wanted);
            add(format!("a' / b at {callers}"), find("a'", at), find("b", at), None);
            let wanted = (callers == 512).then_some(25);
            add(format!("a' / c at {callers}"), find("a'", at), find("c", None), wanted);
        }
        self.ratios = ratios;
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let millis = |micros: Option<u64>| micros.map_or_else(|| "-".to_owned(), thousandths);
        let _ = writeln!(
            text,
            "Postgres {}, {} processors shared with it, fsync on; medians of {}; {} events per command\n",
            self.postgres,
            self.processors,
            self.repetitions,
            hundredths(self.events_per_command_hundredths)
        );
        let _ = writeln!(
            text,
            "callers  path                                      commands/s    p50 ms    p99 ms    lag ms"
        );
        for row in &self.rows {
            let name = match row.path {
                "a" => "a   whole command, projections caught up".to_owned(),
                "a'" => "a'  append alone".to_owned(),
                "b" => format!("b   stock cqrs-es, one view, pool of {}", row.pool.unwrap_or(0)),
                _ => "c   bare bulk inserts, one connection".to_owned(),
            };
            let callers = if row.path == "c" { "-".to_owned() } else { row.callers.to_string() };
            let (p50, p99, lag) = (millis(row.p50_micros), millis(row.p99_micros), millis(row.lag_micros));
            let _ = writeln!(text, "{callers:>7}  {name:<41} {:>10} {p50:>9} {p99:>9} {lag:>9}", row.per_second);
        }
        let _ = writeln!(
            text,
            "\nrebuild of {} events from zero: {} events/s (at least 50000)",
            self.rebuild_events, self.rebuild_events_per_second
        );
        text.push_str("\nratios\n");
        for ratio in &self.ratios {
            let wanted = ratio.at_least.map_or_else(String::new, |wanted| {
                let judged = if ratio.hundredths >= wanted { "met" } else { "NOT met" };
                format!("  (at least {}: {judged})", hundredths(wanted))
            });
            let _ = writeln!(text, "  {:<16} {:>6}{wanted}", ratio.name, hundredths(ratio.hundredths));
        }
        text
    }
}

fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

fn thousandths(value: u64) -> String {
    format!("{}.{:02}", value / 1000, value % 1000 / 10)
}
