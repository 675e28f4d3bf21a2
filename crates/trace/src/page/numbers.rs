//! The numbers of a run, as JSON. They are of all of the journal, whatever part of it is drawn.

use crate::survey::Survey;
use barkeep_check::Durations;
use barkeep_timeline::{Numbers, Party};
use serde_json::{Map, Value, json};

/// All of them.
pub(super) fn of(survey: &Survey) -> Value {
    let Numbers {
        events,
        kinds,
        parties,
        revokes,
        edges,
        outcomes,
        outages,
        open_outages,
        steps,
        unended,
        first_dma,
        span,
    } = &survey.numbers;
    let edges: Vec<_> = edges
        .iter()
        .map(|(edge, count)| json!([edge.from.map(|s| s.name()), edge.to.name(), edge.trigger.name(), count]))
        .collect();
    let outcomes: Vec<_> =
        outcomes.iter().map(|((trigger, outcome), n)| json!([trigger.name(), outcome.name(), n])).collect();
    let series = |(series, times): (&barkeep_timeline::Series, &Durations)| {
        let mut told = times_of(times);
        told.insert("way".to_owned(), series.way.name().into());
        told.insert("ended".to_owned(), series.ended_by.name().into());
        told
    };
    let step = |((party, name), times): (&(Party, String), &Durations)| {
        let mut told = times_of(times);
        told.insert("party".to_owned(), party.name().into());
        told.insert("name".to_owned(), name.as_str().into());
        told.remove("ns");
        told
    };
    json!({
        "events": events,
        "kinds": kinds.iter().map(|(kind, n)| (kind.name().to_owned(), json!(n))).collect::<Map<_, _>>(),
        "parties": parties.iter().map(|(party, n)| (party.name().to_owned(), json!(n))).collect::<Map<_, _>>(),
        "revokes": revokes,
        "edges": edges,
        "outcomes": outcomes,
        "outages": outages.iter().map(series).collect::<Vec<_>>(),
        "open_outages": open_outages.iter().map(|(w, n)| (w.name().to_owned(), json!(n))).collect::<Map<_, _>>(),
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "unended": unended,
        "first_dma": times_of(first_dma),
        "span_ns": span.map(|(first, last)| last - first),
        "kernel_trace": steps.keys().any(|(party, _)| *party == Party::Kernel),
    })
}

/// How often, percentiles, and each time with how often it was; nanoseconds.
fn times_of(times: &Durations) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("count".to_owned(), times.count().into());
    for percent in [50, 90, 99] {
        told.insert(format!("p{percent}"), times.percentile(percent).into());
    }
    told.insert("max".to_owned(), times.max().into());
    told.insert("ns".to_owned(), json!(times.recorded()));
    told
}
