//! Of an episode that failed, the shortest that still does, within a budget of wall-clock time.
//!
//! Lane model answers thousands of questions in that time, lane lab a few dozen: what fails there and in
//! lane model alike is made short in lane model, and then tried in the lab. What fails there alone by an
//! expectation has lane model for a witness: with something left out, the expectation may be of what is no
//! longer so, and then it fails in lane model, too.

use super::failing::{self, Symptom};
use super::folder::{self, Folder, REPRO, WITNESS};
use super::hands::Hands;
use super::load;
use super::provenance::COMMIT;
use super::work::{self, Outcome, Terms, Work};
use crate::cli::LaneName;
use crate::exit::told;
use barkeep_report::storm::Artefacts;
use barkeep_scenario::Scenario;
use barkeep_storm::Shrunk;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where candidates leave what they leave.
const SCRATCH: &str = ".shrinking";

/// What is to be made short.
pub struct Failing<'a> {
    /// As it was drawn.
    pub episode: &'a Scenario,
    /// What it found.
    pub symptom: &'a Symptom,
    /// The kernel it was found on.
    pub kernel: &'a str,
}

/// Makes it short, and writes it down; what is known of it goes into `artefacts`.
///
/// # Errors
/// Results cannot be written.
pub fn shrink(
    failing: &Failing<'_>,
    hands: &Hands,
    terms: &Terms,
    budget: Duration,
    folder: &Folder,
    artefacts: &mut Artefacts,
) -> anyhow::Result<()> {
    let model = Hands { lane: LaneName::Model, boots: None, interrupt: hands.interrupt.clone() };
    let mut search = Search {
        symptom: failing.symptom,
        witness: None,
        terms: Terms { until: Some(Instant::now() + budget), ..terms.clone() },
        budget,
        scratch: folder.file(SCRATCH),
    };
    if failing.symptom.of_end && search.first(std::slice::from_ref(failing.episode), hands).is_none() {
        // It was killed by somebody, say: there is nothing in the episode to be found.
        let _ = fs::remove_dir_all(&search.scratch);
        return Ok(());
    }
    let mut best = None;
    if hands.lane != LaneName::Model
        && terms.words.is_empty()
        && load::cannot_host(LaneName::Model, failing.episode).is_none()
    {
        best = search.elsewhere(failing.episode, &model, hands);
        if failing.symptom.of_scenario && search.passing(std::slice::from_ref(failing.episode), &model) == [0]
        {
            search.witness = Some(&model);
        }
    }
    let best = best.or_else(|| search.shrunk(failing.episode, hands));
    // Whatever happens to the time: what is written down was seen to fail.
    let best = best.unwrap_or_else(|| failing.episode.clone());
    let again = hands.one(&best, &Terms { until: None, ..terms.clone() }, &folder.file("repro"));
    let _ = fs::remove_dir_all(&search.scratch);
    let again = again?.filter(|again| failing.symptom.is_in(&again.verdict));
    let path = folder.file(REPRO);
    folder::write(&path, &text(&best, failing, again.is_some(), &failing::replay(&path, hands, terms))?)?;
    artefacts.repro = Some(path.display().to_string());
    artefacts.actions = Some((count(&best), count(failing.episode)));
    artefacts.replay = failing::replay(&path, hands, terms);
    if let Some(again) = again {
        artefacts.witness = failing::seen(&again, failing.symptom)?;
    }
    folder::write(&folder.file(WITNESS), &(artefacts.witness.join("\n") + "\n"))
}

/// One that hangs must not take all of the time.
fn patience(lane: LaneName, usual: Duration, budget: Duration) -> Duration {
    match lane {
        LaneName::Model => usual.min((budget / 4).clamp(Duration::from_secs(1), Duration::from_secs(20))),
        // A reset may take a minute of real time there, and a boot as much on a busy machine.
        LaneName::Kvm | LaneName::Lab | LaneName::Host => usual.min(budget.max(Duration::from_secs(120))),
    }
}

fn count(scenario: &Scenario) -> u64 {
    scenario.actions.len() as u64
}

/// A scenario with what it shows written above it.
fn text(best: &Scenario, failing: &Failing<'_>, again: bool, replay: &str) -> anyhow::Result<String> {
    let failed =
        if again { "" } else { "# Done once more it did not fail the same way: try several times.\n" };
    // A comment ends with its line.
    let line = |text: &str| text.replace(char::is_control, " ");
    Ok(format!(
        "# {}\n# Found by barkeep {COMMIT} on {}, seed {}.\n{failed}# Again: {}\n{}",
        line(&failing.symptom.sentence),
        line(failing.kernel),
        failing.episode.seed.unwrap_or_default(),
        line(replay),
        work::text(best)?
    ))
}

#[derive(Clone)]
struct Search<'a> {
    symptom: &'a Symptom,
    terms: Terms,
    budget: Duration,
    scratch: PathBuf,
    /// Where what is shorter has to pass, to be taken.
    witness: Option<&'a Hands>,
}

impl Search<'_> {
    /// Made short in another lane, if it fails there in the same way, and then still here.
    fn elsewhere(&self, episode: &Scenario, other: &Hands, here: &Hands) -> Option<Scenario> {
        self.first(std::slice::from_ref(episode), other)?;
        let short = self.shrunk(episode, other)?;
        // It is tried here even if the time is up: it is what all of the time was for.
        let search = Search { terms: Terms { until: None, ..self.terms.clone() }, ..self.clone() };
        search.first(std::slice::from_ref(&short), here)?;
        Some(short)
    }

    /// The shortest that was found; `None` if nothing shorter was.
    fn shrunk(&self, episode: &Scenario, hands: &Hands) -> Option<Scenario> {
        let Shrunk { scenario, taken, .. } =
            barkeep_storm::shrink(episode.clone(), &mut |batch| self.first(batch, hands));
        (taken > 0).then_some(scenario)
    }

    /// The first that fails in the same way, and proves something by it.
    fn first(&self, batch: &[Scenario], hands: &Hands) -> Option<usize> {
        let Some(witness) = self.witness else { return self.first_failing(batch, hands) };
        let sound = self.passing(batch, witness);
        let taken: Vec<Scenario> = sound.iter().map(|number| batch[*number].clone()).collect();
        self.first_failing(&taken, hands).map(|number| sound[number])
    }

    fn first_failing(&self, batch: &[Scenario], hands: &Hands) -> Option<usize> {
        let mut found = None;
        self.carry_out(batch, hands, &mut |number, outcome| {
            if self.symptom.is_in(&outcome.verdict) {
                found = Some(number);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        found
    }

    fn passing(&self, batch: &[Scenario], hands: &Hands) -> Vec<usize> {
        let mut passing = Vec::new();
        self.carry_out(batch, hands, &mut |number, outcome| {
            passing.extend(outcome.verdict.passed().then_some(number));
            ControlFlow::Continue(())
        });
        passing
    }

    /// What goes wrong on the way is no reason to lose what was found before.
    fn carry_out(
        &self,
        batch: &[Scenario],
        hands: &Hands,
        show: &mut dyn FnMut(usize, Outcome) -> ControlFlow<()>,
    ) {
        if batch.is_empty() || self.terms.time_is_up() {
            return;
        }
        let patience = patience(hands.lane, self.terms.patience, self.budget);
        let terms = Terms { patience, ..self.terms.clone() };
        let place = |number: usize| self.scratch.join(number.to_string());
        if let Err(error) = hands.carry_out(Work::Written(batch), &terms, &place, show) {
            log::warn!("a shorter episode could not be tried: {}", told(&error));
        }
    }
}
