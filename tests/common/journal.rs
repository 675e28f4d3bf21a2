//! A reader of journals that knows `docs/interfaces.md` and nothing else.

use serde_json::Value;
use std::fs;
use std::path::Path;

/// A journal: its first line, and its events in their order.
#[derive(Clone, Debug)]
pub struct Journal {
    pub header: Value,
    /// How the run is carried out again: null where the journal does not say.
    pub replay: Value,
    pub events: Vec<Value>,
}

impl Journal {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut lines = text.lines().enumerate().map(|(n, line)| {
            let parsed = serde_json::from_str::<Value>(line);
            parsed.unwrap_or_else(|error| panic!("line {}: {error}: {line}", n + 1))
        });
        let mut header = lines.next().expect("a first line");
        assert_eq!(header["barkeep_journal"], 1, "{header}");
        let replay = header.as_object_mut().and_then(|first| first.remove("replay")).unwrap_or_default();
        Self { header, replay, events: lines.collect() }
    }

    pub fn write(&self, path: &Path) {
        let lines = std::iter::once(&self.header).chain(&self.events);
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        fs::write(path, text).unwrap();
    }

    /// The events that have all of `wanted`'s fields.
    pub fn all(&self, wanted: &Value) -> Vec<&Value> {
        self.events.iter().filter(|event| has(event, wanted)).collect()
    }

    /// The place of the first such event from `from` on.
    #[track_caller]
    pub fn position(&self, from: usize, wanted: &Value) -> usize {
        let found = self.events[from..].iter().position(|event| has(event, wanted));
        from + found.unwrap_or_else(|| panic!("after {}: no {wanted}", self.before(from)))
    }

    /// To be told from its beginning.
    pub fn story(&self) -> Story<'_> {
        Story { journal: self, next: 0 }
    }

    fn before(&self, place: usize) -> String {
        place.checked_sub(1).map_or("the start".to_owned(), |last| self.events[last].to_string())
    }
}

/// Goes through a journal, one event after the other.
pub struct Story<'a> {
    journal: &'a Journal,
    next: usize,
}

impl<'a> Story<'a> {
    /// Goes behind the next event with all of `wanted`'s fields, which there must be.
    #[track_caller]
    pub fn then(&mut self, wanted: Value) -> &'a Value {
        let place = self.journal.position(self.next, &wanted);
        self.next = place + 1;
        &self.journal.events[place]
    }

    /// The same, and there must be none with all of `never`'s on the way.
    #[track_caller]
    pub fn without(&mut self, never: Value, wanted: Value) -> &'a Value {
        let from = self.next;
        let found = self.then(wanted);
        let passed = &self.journal.events[from..self.next - 1];
        if let Some(event) = passed.iter().find(|event| has(event, &never)) {
            panic!("before {found}: {event}");
        }
        found
    }

    /// A step and its good end, by the same number.
    #[track_caller]
    pub fn step(&mut self, mut wanted: Value) -> (&'a Value, &'a Value) {
        wanted["phase"] = "begin".into();
        let begin = self.then(wanted.clone());
        wanted["phase"] = "end".into();
        wanted["step"] = begin["step"].clone();
        wanted["result"] = 0.into();
        (begin, self.then(wanted))
    }
}

/// The number in a field.
#[track_caller]
pub fn number(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or_else(|| panic!("no number `{field}` in {event}"))
}

fn has(event: &Value, wanted: &Value) -> bool {
    wanted.as_object().expect("fields").iter().all(|(field, value)| event[field] == *value)
}
