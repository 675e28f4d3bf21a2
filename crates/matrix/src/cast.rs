//! Who plays in a cell, and what is told of each trigger.

mod ends;
mod outside;
mod resets;
mod states;

use crate::column::Column;
use crate::device::{Device, Target};
use crate::story::{Lasts, Story};
use crate::trigger::Trigger;
use crate::wanted::{Bar, End};
use barkeep_scenario::Action;
use barkeep_scenario::language::{Content, Hold, Unseen};

/// A story and how it ends for the victim; or why it cannot be told.
type Told<'a> = Result<(Story<'a>, End), String>;

/// Those who play in it.
pub struct Cast<'a> {
    column: &'a Column,
    victim: &'a Device,
    /// The victim's.
    pub target: &'a Target,
    engine: &'a Device,
}

impl<'a> Cast<'a> {
    /// The machine's first device that peers can write to, and an engine beside it: preferably one
    /// whose DMA can be under way when something happens.
    ///
    /// # Errors
    /// It lacks one.
    pub fn of(column: &'a Column) -> Result<Self, String> {
        let (victim, target) = column.victim().ok_or("no BAR that peers can write to")?;
        let able = || column.engines().filter(|engine| engine.name != victim.name);
        let engine = able().find(|engine| engine.target.is_none()).or_else(|| able().next());
        let engine = engine.ok_or("no device that can be told to write to a peer")?;
        Ok(Self { column, victim, target, engine })
    }

    /// The BARs that go through the same as the victim's.
    pub fn others(&self, trigger: Trigger) -> Vec<Bar> {
        match trigger {
            Trigger::HotReset | Trigger::FailedHotReset => {
                self.siblings().map(|(_, target)| Bar::of(&target.place)).collect()
            }
            Trigger::SriovOff => self.functions().map(|(_, target)| Bar::of(&target.place)).collect(),
            Trigger::Flr
            | Trigger::AfFlr
            | Trigger::DecodeOff
            | Trigger::D3hot
            | Trigger::DeviceReset
            | Trigger::FailedReset
            | Trigger::LowPower
            | Trigger::LowPowerWake
            | Trigger::BarMove
            | Trigger::Close
            | Trigger::Remove
            | Trigger::SysfsReset
            | Trigger::PfReset
            | Trigger::UnseenDecode
            | Trigger::UnseenReset
            | Trigger::UnseenHotReset
            | Trigger::UnseenUnmap
            | Trigger::HeldDuplicate
            | Trigger::HeldMapping
            | Trigger::HeldPassed
            | Trigger::HeldKvm => Vec::new(),
        }
    }

    /// Devices that are reset with the victim's bus.
    fn siblings(&self) -> impl Iterator<Item = (&'a Device, &'a Target)> {
        let (column, victim) = (self.column, self.victim);
        column.targets().filter(move |(other, _)| other.name != victim.name && column.together(other, victim))
    }

    /// The other virtual functions of the victim's physical one.
    fn functions(&self) -> impl Iterator<Item = (&'a Device, &'a Target)> {
        let victim = self.victim;
        self.column.targets().filter(move |(other, _)| {
            other.name != victim.name
                && other.function_of.is_some()
                && other.function_of == victim.function_of
        })
    }

    fn name(&self) -> String {
        self.victim.name.clone()
    }

    fn begin(&self) -> Story<'a> {
        Story::begin(self.column)
    }

    /// Tells what happens, from the first landing to the last.
    pub fn tell(&self, trigger: Trigger) -> Told<'a> {
        match trigger {
            Trigger::Flr => self.flr(),
            Trigger::AfFlr => self.af_flr(),
            Trigger::DecodeOff => self.decode_off(),
            Trigger::D3hot => self.d3hot(),
            Trigger::DeviceReset => self.device_reset(),
            Trigger::FailedReset => self.failed_reset(),
            Trigger::HotReset => self.hot_reset(),
            Trigger::FailedHotReset => self.failed_hot_reset(),
            Trigger::LowPower => Ok(self.low_power()),
            Trigger::LowPowerWake => self.low_power_wake(),
            Trigger::BarMove => Ok(self.bar_move()),
            Trigger::Close => Ok(self.close()),
            Trigger::Remove => self.remove(None),
            Trigger::SriovOff => {
                let physical = self.physical()?;
                self.remove(Some(physical))
            }
            Trigger::SysfsReset => self.sysfs_reset(),
            Trigger::PfReset => self.pf_reset(),
            Trigger::UnseenDecode => self.unseen_decode(),
            Trigger::UnseenReset => self.unseen_reset(),
            Trigger::UnseenHotReset => self.unseen_hot_reset(),
            Trigger::UnseenUnmap => Ok(self.unseen(Unseen::Unmap, "ok")),
            Trigger::HeldDuplicate => Ok(self.held(Hold::Duplicate)),
            Trigger::HeldMapping => Ok(self.held(Hold::Mapping)),
            Trigger::HeldPassed => Ok(self.held(Hold::Passed)),
            Trigger::HeldKvm => Ok(self.held(Hold::Kvm)),
        }
    }

    /// Nothing changes; both ways are there.
    fn refused(&self, how: &'static str, action: Action) -> (Story<'a>, End) {
        let mut story = self.begin();
        story.act(action);
        // What was written before is there still.
        story.verify(self.target, Content::Holds);
        story.all_land();
        (story, End::Refused(how))
    }

    fn over_at_once(&self, lasts: Lasts, action: Action) -> Told<'a> {
        let mut story = self.begin();
        if matches!(action, Action::HotReset { .. }) {
            story.watch_beside(self.siblings().map(|(_, target)| target));
        }
        self.siblings_through(&mut story, lasts, &action);
        story.through(self.engine, self.target, lasts, &[action]);
        story.all_land();
        Ok((story, End::Back))
    }

    /// An engine has one DMA under way at a time: a hot reset is done once for each of those it
    /// happens to.
    fn siblings_through(&self, story: &mut Story<'a>, lasts: Lasts, action: &Action) {
        if !matches!(action, Action::HotReset { .. }) {
            return;
        }
        for (_, target) in self.siblings() {
            story.through(self.engine, target, lasts, std::slice::from_ref(action));
            story.all_land();
        }
    }

    fn short(&self, action: Action) -> Told<'a> {
        let mut story = self.begin();
        if matches!(action, Action::HotReset { .. }) {
            story.watch_beside(self.siblings().map(|(_, target)| target));
        }
        self.siblings_through(&mut story, Lasts::Short, &action);
        self.shortly(&mut story, &action);
        story.all_land();
        Ok((story, End::Back))
    }

    /// Once lingering, so that it can be watched, and once as it is, which is what is measured.
    fn shortly(&self, story: &mut Story<'a>, action: &Action) {
        story.through(self.engine, self.target, Lasts::Short, std::slice::from_ref(action));
        story.all_land();
        story.act(action.clone());
    }

    /// Once with a look at what is away in between, and once at once, which is what is measured.
    fn in_between(&self, off: Action, on: Action) -> (Story<'a>, End) {
        let mut story = self.begin();
        story.act(off.clone());
        story.away(self.engine, self.target);
        story.act(on.clone());
        story.all_land();
        story.act(off);
        story.act(on);
        story.all_land();
        (story, End::Back)
    }

    /// Gone for good; whoever is left works on.
    fn gone(&self, story: &mut Story<'a>, devices: &[&Device]) {
        for device in devices {
            story.gone(device);
        }
        for target in devices.iter().filter_map(|device| device.target.as_ref()) {
            story.away(self.engine, target);
        }
        story.engine_answers(self.engine);
        story.all_land();
    }
}
