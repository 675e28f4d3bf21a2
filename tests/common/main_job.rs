//! What the journal of the main job has to tell, event by event, whatever the lane.

use super::journal::{Journal, Story, number};
use serde_json::{Value, json};

/// Where the two devices are.
#[derive(Clone, Copy)]
pub struct Cast {
    pub nvme: &'static str,
    pub edu: &'static str,
}

impl Cast {
    /// Everything that revokes takes both ways away, and both come back, until the device file is
    /// closed.
    pub fn told(self, journal: &Journal) {
        observations_say_by_what(journal);
        steps_end(journal);
        // A fault record of a DMA that met an outage is no sign that somebody else has revoked.
        assert_eq!(journal.all(&json!({"trigger": "suspect"})), Vec::<&Value>::new());
        let mut story = journal.story();
        let story = &mut story;
        self.devices_and_exports(story);
        self.both_ways_in(story, "start");
        self.data_arrives(story);
        self.flr_under_dma(story);
        self.data_arrives(story);
        self.away_until(story, "decode_off", "decode_on");
        self.away_until(story, "d3hot", "d0");
        self.device_reset_under_dma(story);
        self.data_arrives(story);
        self.closed_for_good(story);
        story.then(json!({"kind": "run_end", "result": 0}));
        nothing_left(journal);
    }

    fn devices_and_exports(self, story: &mut Story<'_>) {
        story.then(json!({"kind": "device_open", "device": self.nvme}));
        story.step(json!({"kind": "bar_export", "device": self.nvme, "bar": 2, "size": "0x1000000"}));
        story.then(json!({"kind": "device_open", "device": self.edu}));
        story.step(json!({"kind": "bar_export", "device": self.edu, "bar": 0}));
    }

    /// The mapping for peers, and then the memory slot, at one and the same address.
    fn both_ways_in(self, story: &mut Story<'_>, trigger: &str) {
        let window = |kind| json!({"kind": kind, "device": self.nvme, "bar": 2, "trigger": trigger});
        let (map, _) = story.step(window("p2p_map"));
        let (slot, _) = story.step(window("slot_add"));
        assert_eq!((&map["address"], &map["size"]), (&slot["address"], &slot["size"]));
        let mut out = window("outage");
        out["phase"] = "end".into();
        story.then(out);
    }

    /// A DMA that a guest CPU then finds where it should be.
    fn data_arrives(self, story: &mut Story<'_>) {
        let start = story.then(json!({"kind": "dma_start", "device": self.edu}));
        let landed = json!({
            "kind": "landed", "text": "dma", "seen_by": "guest_read", "device": self.nvme, "bar": 2,
            "address": "0x0", "value": start["value"],
        });
        story.without(json!({"kind": "faulted"}), landed);
    }

    /// The CPU's way is taken before the trigger and both are back after it; meanwhile the DMA in
    /// flight faults, and an observer cannot attach.
    fn flr_under_dma(self, story: &mut Story<'_>) {
        let dma = story.then(json!({"kind": "dma_start", "device": self.edu}));
        story.step(json!({"kind": "slot_remove", "device": self.nvme, "bar": 2, "trigger": "flr"}));
        let flr = |phase| json!({"kind": "trigger", "phase": phase, "trigger": "flr", "device": self.nvme});
        let begin = story.then(flr("begin"));
        story.without(flr("end"), self.no_attach());
        let end = story.then(flr("end"));
        story.step(json!({"kind": "p2p_unmap", "device": self.nvme, "bar": 2, "trigger": "flr"}));
        self.both_ways_in(story, "flr");
        self.faulted_between(story, dma, begin, end);
        self.not_landed(story, dma);
        let live = json!({"kind": "live", "seen_by": "errno", "result": 0, "device": self.nvme, "bar": 2});
        story.then(live);
    }

    /// Away after one trigger: to an observer, to the CPU and to DMA. Back after the other, and
    /// nothing of the DMA is there.
    fn away_until(self, story: &mut Story<'_>, away: &str, back: &str) {
        story.step(json!({"kind": "slot_remove", "device": self.nvme, "bar": 2, "trigger": away}));
        self.trigger(story, away);
        story.step(json!({"kind": "p2p_unmap", "device": self.nvme, "bar": 2, "trigger": away}));
        story.then(json!({"kind": "expect", "device": self.nvme, "value": 0}));
        story.then(self.no_attach());
        let ones = "verify nvme:2+0x0 reads all ones";
        story.then(json!({"kind": "action", "phase": "begin", "text": ones}));
        story.then(json!({"kind": "action", "phase": "end", "result": 0}));
        let dma = story.then(json!({"kind": "dma_start", "device": self.edu}));
        story.then(self.fault_of(dma));
        let begin = json!({"kind": "trigger", "phase": "begin", "device": self.nvme, "trigger": back});
        let begin = story.without(json!({"kind": "landed"}), begin);
        story.then(json!({"kind": "trigger", "phase": "end", "step": begin["step"], "result": 0}));
        self.both_ways_in(story, back);
        self.not_landed(story, dma);
        self.data_arrives(story);
    }

    fn device_reset_under_dma(self, story: &mut Story<'_>) {
        let dma = story.then(json!({"kind": "dma_start", "device": self.edu}));
        let (begin, end) = self.trigger(story, "device_reset");
        self.both_ways_in(story, "device_reset");
        self.faulted_between(story, dma, begin, end);
        self.not_landed(story, dma);
    }

    fn closed_for_good(self, story: &mut Story<'_>) {
        story.step(json!({"kind": "slot_remove", "device": self.nvme, "bar": 2, "trigger": "close"}));
        self.trigger(story, "close");
        story.then(json!({"kind": "device_close", "device": self.nvme}));
        story.then(self.no_attach());
        let dma = story.then(json!({"kind": "dma_start", "device": self.edu}));
        story.then(self.fault_of(dma));
        let never = json!({"kind": "p2p_map", "device": self.nvme});
        story.without(never, json!({"kind": "device_close", "device": self.edu}));
    }

    fn trigger<'a>(self, story: &mut Story<'a>, name: &str) -> (&'a Value, &'a Value) {
        story.step(json!({"kind": "trigger", "trigger": name, "device": self.nvme}))
    }

    /// By the recorder's own stamp the fault was while the trigger was let through.
    fn faulted_between(self, story: &mut Story<'_>, dma: &Value, begin: &Value, end: &Value) {
        let at = number(story.then(self.fault_of(dma)), "t_ns");
        assert!((number(begin, "t_ns")..=number(end, "t_ns")).contains(&at), "faulted at {at}");
    }

    fn no_attach(self) -> Value {
        json!({"kind": "revoked", "seen_by": "errno", "errno": "ENODEV", "device": self.nvme, "bar": 2})
    }

    fn fault_of(self, dma: &Value) -> Value {
        json!({"kind": "faulted", "seen_by": "iommu_fault", "device": self.edu, "address": dma["address"]})
    }

    fn not_landed(self, story: &mut Story<'_>, dma: &Value) {
        let not = json!({
            "kind": "not_landed", "text": "dma", "seen_by": "guest_read", "device": self.nvme, "bar": 2,
            "address": "0x0",
        });
        let found = story.without(json!({"kind": "landed", "text": "dma"}), not);
        assert_ne!(found["value"], dma["value"], "{found}");
    }
}

fn observations_say_by_what(journal: &Journal) {
    for event in &journal.events {
        let kind = event["kind"].as_str().expect("a kind");
        let observed = ["revoked", "live", "landed", "not_landed", "faulted"].contains(&kind);
        assert_eq!(event["seen_by"].is_string(), observed, "{event}");
    }
}

fn steps_end(journal: &Journal) {
    for begin in journal.all(&json!({"phase": "begin"})) {
        // An outage spans many steps and has none of its own.
        if begin["step"] != 0 {
            let (kind, step) = (&begin["kind"], &begin["step"]);
            let ends = journal.all(&json!({"kind": kind, "phase": "end", "step": step}));
            assert_eq!(ends.len(), 1, "{begin}");
        }
    }
}

fn nothing_left(journal: &Journal) {
    let counts = journal.all(&json!({"kind": "leftover"}));
    assert!(counts.len() >= 4, "files are counted: {counts:?}");
    assert!(counts.iter().all(|count| count["value"] == 0), "{counts:?}");
}
