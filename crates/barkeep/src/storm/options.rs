//! The command line of `storm`.

use crate::cli::{LabOptions, LaneName, RunOptions};
use crate::exit::{Exit, UsageExt, wrong};
use barkeep_scenario::{Scenario, units};
use barkeep_storm::Shard;
use clap::{Args, Parser};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Resets of a storm that says nothing else.
const RESETS: u64 = 500;
/// Where only the time ends it.
const MOST_EPISODES: u64 = 1_000_000;

/// Options of `storm`.
#[derive(Clone, Debug, Args)]
pub struct StormOptions {
    /// The storm: a TOML file with a `[storm]` table, or the name of a shipped one, see --list.
    #[arg(id = "file", value_name = "STORM", required_unless_present = "list")]
    pub storm: Option<PathBuf>,
    /// Where to run: model, kvm, lab or host. Without it: lab under `barkeep lab --`, else model.
    #[arg(long, value_enum)]
    pub lane: Option<LaneName>,
    /// The first seed; each episode has the next one.
    #[arg(long, value_name = "S", default_value_t = crate::model::SEED)]
    pub seed: u64,
    /// Resets to plan, as many seeds as it takes; 500 if neither this nor --duration is given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// No new episode is begun after this wall-clock time, e.g. 10m.
    #[arg(long, value_name = "D")]
    pub duration: Option<Span>,
    /// Every N-th seed, from the K-th on, e.g. 2/8; `barkeep report merge` puts all N together.
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Where it goes: storm.json, episodes, repro.toml.
    #[arg(long, value_name = "DIR", default_value = "out/storm")]
    pub out: PathBuf,
    /// Write the verdict as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the verdict as KTAP, too.
    #[arg(long, value_name = "FILE")]
    pub ktap: Option<PathBuf>,
    /// Findings that are known, each with a reason.
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// How long to look for the shortest episode that still fails; 0s: not at all.
    #[arg(long, value_name = "D", default_value = "60s")]
    pub shrink_time: Span,
    /// Go on after an episode that failed.
    #[arg(long)]
    pub keep_going: bool,
    /// Processes, or emulators, at the same time. Without it: lane model as many as there are CPUs, lane
    /// lab two at the most, elsewhere one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,
    /// Wall-clock time without an action of its scenario's after which an episode has hung; 10m if not
    /// given. In lane model what an episode may take in all, 20s.
    #[arg(long, value_name = "D")]
    pub patience: Option<Span>,
    /// A device, any number of times, as for `run`: in lane host which is which, in lanes model and kvm
    /// instead of those of the storm.
    #[arg(long = "device", value_name = "[NAME=]DEVICE")]
    pub devices: Vec<String>,
    /// As for `run`.
    #[arg(long = "other", value_name = "NAME=ADDRESS")]
    pub others: Vec<String>,
    /// Lane lab: as for `lab`.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Lane lab: the emulated devices, instead of those of the storm.
    #[arg(long, value_name = "TOPOLOGY")]
    pub topology: Option<String>,
    /// Lane lab: as for `lab`. Then a run is not the same again.
    #[arg(long)]
    pub fast: bool,
    /// Name the shipped storms, and do nothing.
    #[arg(long)]
    pub list: bool,
}

/// A time on the wall: as scenarios have it, and `m` and `h` for minutes and hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        for (unit, seconds) in [("m", 60), ("h", 3600)] {
            let number = word.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
            if let Some(number) = number {
                let whole = number.checked_mul(seconds).map(Duration::from_secs).map(Self);
                return whole.ok_or_else(|| format!("`{word}` is longer than anybody waits"));
            }
        }
        units::duration(word).map(Self).map_err(|_| format!("`{word}` is not a time like 90s, 10m or 2h"))
    }
}

impl StormOptions {
    /// Those of `barkeep lab … -- storm …`.
    ///
    /// # Errors
    /// The inner words are no storm's, or say what the outer ones say, too.
    pub fn under_lab(lab: &LabOptions) -> anyhow::Result<Self> {
        /// The options by themselves.
        #[derive(Parser)]
        #[command(name = "barkeep lab -- storm")]
        struct Alone {
            #[command(flatten)]
            options: StormOptions,
        }
        // Its own words for what is wrong with them, and its status; --help is one of them.
        let options = Alone::try_parse_from(&lab.command).unwrap_or_else(|error| error.exit()).options;
        let given = |option: &str| lab.command.iter().any(|word| word.split('=').next() == Some(option));
        if options.lane.is_some_and(|lane| lane != LaneName::Lab) {
            return Err(wrong(Exit::Usage, "under `barkeep lab` there is lane lab and no other"));
        }
        if lab.share.is_some() {
            return Err(wrong(Exit::Usage, "--share is for `barkeep lab -- exec`"));
        }
        for (option, outside) in [("--kernel", lab.kernel.is_some()), ("--topology", lab.topology.is_some())]
        {
            if outside && given(option) {
                return Err(wrong(Exit::Usage, format!("{option} is given twice, before and behind `--`")));
            }
        }
        let patience = || Some(Span(Duration::from_secs(lab.timeout)));
        Ok(Self {
            lane: Some(LaneName::Lab),
            kernel: options.kernel.or_else(|| lab.kernel.clone()),
            topology: options.topology.or_else(|| lab.topology.clone()),
            fast: options.fast || lab.fast,
            out: if given("--out") { options.out } else { lab.out.clone() },
            patience: options.patience.or_else(patience),
            ..options
        })
    }

    /// Words for whoever carries episodes out.
    pub fn words(&self) -> Vec<String> {
        let devices = self.devices.iter().map(|device| format!("--device={device}"));
        devices.chain(self.others.iter().map(|other| format!("--other={other}"))).collect()
    }

    /// Resets to plan; `None` where only the time ends it.
    pub fn count(&self) -> Option<u64> {
        self.count.or(self.duration.is_none().then_some(RESETS))
    }

    /// The seeds there are to go through.
    ///
    /// # Errors
    /// It is no storm, or there are no more seeds.
    pub fn seeds(&self, storm: &Scenario) -> anyhow::Result<Vec<u64>> {
        let what = || format!("the storm `{}`", storm.name);
        if let Some(count) = self.count() {
            return barkeep_storm::seeds(storm, self.seed, count, self.shard).usage(what());
        }
        // That it is one, and has episodes at all.
        barkeep_storm::episode(storm, self.seed).usage(what())?;
        let of_shard = |number: &u64| self.shard.is_none_or(|shard| shard.has(*number));
        Ok((0..MOST_EPISODES).filter(of_shard).map(|number| self.seed.saturating_add(number)).collect())
    }

    /// The lane: one that is not named is lab inside of `barkeep lab --`, which says so, else model.
    pub fn lane(&self) -> LaneName {
        self.lane.unwrap_or(LaneName::Model)
    }

    /// Processes at the same time.
    pub fn jobs(&self) -> usize {
        let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
        match (self.jobs, self.lane()) {
            (Some(jobs), _) => jobs.into(),
            (None, LaneName::Model) => cpus(),
            (None, LaneName::Lab) => cpus().min(2),
            // Real time passes there, and one that is kept waiting sees another order of things.
            (None, LaneName::Kvm | LaneName::Host) => 1,
        }
    }

    /// How long an episode may give no sign of life.
    pub fn patience(&self) -> Duration {
        let usual = match self.lane() {
            LaneName::Model => Duration::from_secs(20),
            LaneName::Kvm | LaneName::Lab | LaneName::Host => {
                Duration::from_secs(crate::outside::DEFAULT_TIMEOUT)
            }
        };
        self.patience.map_or(usual, |Span(time)| time)
    }

    /// The devices, as a run is told of them.
    ///
    /// # Errors
    /// They are none.
    pub fn run_options(&self) -> anyhow::Result<RunOptions> {
        RunOptions::of_words(&self.words()).usage("not devices")
    }

    /// What cannot be together.
    ///
    /// # Errors
    /// It is.
    pub fn check(&self) -> anyhow::Result<()> {
        let lab_only = [
            ("--kernel", self.kernel.is_some()),
            ("--topology", self.topology.is_some()),
            ("--fast", self.fast),
        ];
        self.run_options()?;
        if self.lane() != LaneName::Lab
            && let Some((option, _)) = lab_only.iter().find(|(_, given)| *given)
        {
            return Err(wrong(Exit::Usage, format!("{option} is for --lane lab")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_on_the_wall_have_minutes_and_hours() {
        let span = |word: &str| word.parse::<Span>().map(|Span(time)| time.as_millis());
        for (word, ms) in [("90s", 90_000), ("10m", 600_000), ("2h", 7_200_000), ("5ms", 5)] {
            assert_eq!(span(word), Ok(ms), "{word}");
        }
        for nonsense in ["", "m", "1.5h", "-1m", "5", "99999999999999999999h", "18446744073709551615h"] {
            assert!(span(nonsense).is_err(), "{nonsense}");
        }
    }
}
