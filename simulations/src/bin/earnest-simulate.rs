//! `earnest-simulate`: the whole engine from a seed, as often as wanted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;

/// Runs the engine against a log, a clock and a payment provider that all misbehave, and checks the books at every step.
#[derive(Debug, Parser)]
#[command(name = "earnest-simulate", version)]
struct Arguments {
    /// Run this seed only.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run these seeds, the last one excluded.
    #[arg(long, value_name = "A..B", value_parser = range, default_value = "0..50")]
    seeds: Range<u64>,
    /// Steps of each run.
    #[arg(long, default_value_t = 400)]
    steps: u64,
    /// Tell how often each kind of thing happened.
    #[arg(long)]
    counts: bool,
    /// Tell the whole log of a run that broke something.
    #[arg(long)]
    log: bool,
}

/// Reads `A..B`.
fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("expected A..B")?;
    let number = |digits: &str| digits.parse::<u64>().map_err(|error| error.to_string());
    Ok(number(from)?..number(to)?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments.seed.map_or(arguments.seeds, |seed| seed..seed.saturating_add(1));
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut events = 0_u64;
    for seed in seeds.clone() {
        match simulations::run(seed, arguments.steps) {
            Ok(outcome) => {
                events = events.saturating_add(outcome.events);
                for (what, times) in outcome.counts {
                    let sum = counts.entry(what).or_default();
                    *sum = sum.saturating_add(times);
                }
                if arguments.seed.is_some() {
                    println!("seed {seed}: log {}", outcome.log_digest);
                }
            }
            Err(failure) => {
                if arguments.log {
                    failure.log.iter().for_each(|line| println!("{line}"));
                }
                eprintln!("{failure}");
                eprintln!("again: earnest-simulate --seed {seed} --steps {}", arguments.steps);
                return ExitCode::FAILURE;
            }
        }
    }
    if arguments.counts {
        for (what, times) in &counts {
            println!("{times:>8}  {what}");
        }
    }
    println!("seeds {}..{}, {} steps each, {events} events: nothing broken", seeds.start, seeds.end, arguments.steps);
    ExitCode::SUCCESS
}
