//! Who plays in a cell, and what is told of each trigger.

use crate::column::Column;
use crate::device::{Bus, Device, Flr, Reset, Target};
use crate::story::{Lasts, Story};
use crate::trigger::Trigger;
use crate::wanted::{Bar, End};
use barkeep_scenario::Action;
use barkeep_scenario::language::{Content, Fate, Hold, Place, Release, Unseen};

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
            | Trigger::HeldPassed => Vec::new(),
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
            other.name != victim.name && other.function_of.is_some() && other.function_of == victim.function_of
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
            Trigger::UnseenUnmap => Ok(self.unseen(Unseen::Unmap)),
            Trigger::HeldDuplicate => Ok(self.held(Hold::Duplicate)),
            Trigger::HeldMapping => Ok(self.held(Hold::Mapping)),
            Trigger::HeldPassed => Ok(self.held(Hold::Passed)),
        }
    }

    fn flr(&self) -> Told<'a> {
        let flr = Action::Flr { device: self.name(), vcpu: 0 };
        match self.victim.flr {
            Flr::NoRegister => Err("no PCI Express capability: there is no such bit".into()),
            Flr::Ignored => Ok(self.refused("ignored", flr)),
            Flr::Capable if self.victim.reset == Reset::Fails => Err("it fails: see failed-reset".into()),
            Flr::Capable => self.over_at_once(Lasts::Long, flr),
        }
    }

    fn af_flr(&self) -> Told<'a> {
        if !self.victim.af {
            return Err(match self.victim.bus {
                Bus::Simulated => "no Advanced Features capability".into(),
                Bus::Root | Bus::Behind(_) | Bus::BehindSlow(_) => {
                    "no device of QEMU's has an Advanced Features capability; lane model has".into()
                }
            });
        }
        self.over_at_once(Lasts::Long, Action::AfFlr { device: self.name(), vcpu: 0 })
    }

    fn decode_off(&self) -> Told<'a> {
        let off = Action::DecodeOff { device: self.name(), vcpu: 0 };
        let on = Action::DecodeOn { device: self.name(), vcpu: 0 };
        if !self.victim.always_decodes {
            return Ok(self.in_between(off, on));
        }
        // All is over with the first write. The second is for the device: QEMU's virtual functions have
        // a bit of their own, and go by it.
        let mut story = self.begin();
        let both = [off, on];
        story.through(self.engine, self.target, Lasts::Short, &both);
        story.all_land();
        both.into_iter().for_each(|action| story.act(action));
        story.all_land();
        Ok((story, End::Back))
    }

    fn d3hot(&self) -> Told<'a> {
        if !self.victim.power {
            return Err("no power management capability".into());
        }
        let off = Action::D3hot { device: self.name(), vcpu: 0 };
        Ok(self.in_between(off, Action::D0 { device: self.name(), vcpu: 0 }))
    }

    fn device_reset(&self) -> Told<'a> {
        match self.victim.reset {
            Reset::Never | Reset::Fails => Ok(self.refused("EINVAL", self.reset("EINVAL"))),
            // A reset other than by FLR may take less than 100 ms.
            Reset::Works if self.victim.flr == Flr::Capable => {
                self.over_at_once(Lasts::Long, self.reset("ok"))
            }
            Reset::Works => self.short(self.reset("ok")),
        }
    }

    fn reset(&self, expect: &str) -> Action {
        Action::DeviceReset { device: self.name(), expect: expect.into() }
    }

    fn failed_reset(&self) -> Told<'a> {
        let methods = |present| Action::ResetMethods { device: self.name(), present };
        match self.victim.reset {
            Reset::Never => Err("nothing resets it: refused before it revokes (EINVAL)".into()),
            // Not even when it was opened; the bit in the register is there all the same.
            Reset::Fails => self.short(Action::Flr { device: self.name(), vcpu: 0 }),
            Reset::Works => {
                let mut story = self.begin();
                story.act(methods(false));
                self.shortly(&mut story, &self.reset("ENOTTY"));
                if self.victim.flr == Flr::Capable {
                    self.shortly(&mut story, &Action::Flr { device: self.name(), vcpu: 0 });
                }
                story.act(methods(true));
                story.all_land();
                Ok((story, End::Back))
            }
        }
    }

    fn hot_reset(&self) -> Told<'a> {
        let hot_reset = |expect: &str| Action::HotReset { device: self.name(), expect: expect.into() };
        match &self.victim.bus {
            Bus::Root | Bus::Simulated => Ok(self.refused("ENODEV", hot_reset("ENODEV"))),
            Bus::BehindSlow(port) => Err(format!("behind `{port}` it fails: see failed-hot-reset")),
            Bus::Behind(_) => self.short(hot_reset("ok")),
        }
    }

    fn failed_hot_reset(&self) -> Told<'a> {
        match &self.victim.bus {
            Bus::Root | Bus::Simulated => Err("on the root bus: refused before it revokes (ENODEV)".into()),
            Bus::Behind(port) => Err(format!("behind `{port}` it works: the link comes back")),
            Bus::BehindSlow(_) => {
                let hot_reset = Action::HotReset { device: self.name(), expect: "ENOTTY".into() };
                self.over_at_once(Lasts::Long, hot_reset)
            }
        }
    }

    fn low_power(&self) -> (Story<'a>, End) {
        let (device, expect) = (self.name(), "ok".to_owned());
        let entry = Action::LowPowerEntry { device: device.clone(), wakes: false, expect: expect.clone() };
        self.in_between(entry, Action::LowPowerExit { device, expect })
    }

    fn low_power_wake(&self) -> Told<'a> {
        if self.victim.bus == Bus::Simulated {
            return Err("a simulated device does not wake up".into());
        }
        let mut story = self.begin();
        story.act(Action::LowPowerEntry { device: self.name(), wakes: true, expect: "ok".into() });
        story.away(self.engine, self.target);
        // Any access of the VMM's to the device wakes it, so a guest's to its config space does.
        story.act(Action::DecodeOn { device: self.name(), vcpu: 0 });
        story.pause();
        story.all_land();
        Ok((story, End::Back))
    }

    fn bar_move(&self) -> (Story<'a>, End) {
        let mut story = self.begin();
        let place = &self.target.place;
        let moves = Action::BarMove { device: self.name(), bar: place.bar, vcpu: 0 };
        self.shortly(&mut story, &moves);
        let before = Place { moved_from: true, ..place.clone() };
        story.verify_at(before, self.target.size, Content::Ones);
        story.all_land();
        (story, End::Back)
    }

    fn close(&self) -> (Story<'a>, End) {
        let mut story = self.begin();
        story.act(Action::Close { device: self.name() });
        self.gone(&mut story, &[self.victim]);
        (story, End::Gone)
    }

    fn physical(&self) -> Result<&'a str, String> {
        let physical = self.victim.function_of.as_deref();
        physical.ok_or_else(|| "not a virtual function".into())
    }

    fn remove(&self, functions_of: Option<&str>) -> Told<'a> {
        if self.victim.bus == Bus::Simulated {
            return Err("the specification has no request interrupt".into());
        }
        if functions_of.is_none() && self.victim.function_of.is_some() {
            return Err("a virtual function has no `remove` in sysfs: see sriov-off".into());
        }
        let mut story = self.begin();
        let functions: Vec<_> = match functions_of {
            Some(_) => self.functions().map(|(device, _)| device).collect(),
            None => Vec::new(),
        };
        let device = self.name();
        story.act(Action::Remove {
            device: device.clone(),
            release: Release::Later,
            functions_of: functions_of.map(str::to_owned),
        });
        // Asked for, and live until it is given up.
        story.cpu_lands(self.target);
        story.dma(self.engine, self.target, Fate::Lands);
        story.cpu_lands(self.target);
        story.act(Action::Release { device: device.clone() });
        story.act(Action::Removed { device });
        let mut gone = vec![self.victim];
        gone.extend(functions);
        self.gone(&mut story, &gone);
        Ok((story, End::Gone))
    }

    fn sysfs_reset(&self) -> Told<'a> {
        match self.victim.reset {
            Reset::Never | Reset::Fails => Err("there is no way to reset it".into()),
            Reset::Works => Ok(self.kept(self.name(), std::iter::empty())),
        }
    }

    fn pf_reset(&self) -> Told<'a> {
        let physical = self.physical()?.to_owned();
        let functions = self.functions().map(|(device, _)| device.name.clone());
        Ok(self.kept(physical, std::iter::once(self.name()).chain(functions)))
    }

    /// `again` have lost what their drivers set up, and with QEMU their decode bit: a driver sets it.
    fn kept(&self, device: String, again: impl Iterator<Item = String>) -> (Story<'a>, End) {
        let mut story = self.begin();
        story.act(Action::SysfsReset { device, expect: "ok".into() });
        again.for_each(|device| story.act(Action::DecodeOn { device, vcpu: 0 }));
        story.all_land();
        (story, End::Kept)
    }

    fn unseen_decode(&self) -> Told<'a> {
        if self.victim.always_decodes {
            return Err("a virtual function decodes always: see decode-off".into());
        }
        let mut story = self.begin();
        let unseen = |what| Action::Unseen { device: self.name(), what, bar: None, offset: 0 };
        story.act(unseen(Unseen::DecodeOff));
        story.away(self.engine, self.target);
        let back = [unseen(Unseen::DecodeOn), Action::Suspect { device: self.name() }];
        back.iter().for_each(|action| story.act(action.clone()));
        story.all_land();
        // At once, which is what is measured.
        story.act(unseen(Unseen::DecodeOff));
        story.verify(self.target, Content::Ones);
        back.into_iter().for_each(|action| story.act(action));
        story.all_land();
        Ok((story, End::Back))
    }

    fn unseen_reset(&self) -> Told<'a> {
        match self.victim.reset {
            Reset::Never => Err("nothing resets it (EINVAL)".into()),
            Reset::Fails => Err("its resets fail".into()),
            Reset::Works => Ok(self.unseen(Unseen::DeviceReset)),
        }
    }

    fn unseen_hot_reset(&self) -> Told<'a> {
        match &self.victim.bus {
            Bus::Root | Bus::Simulated => Err("on the root bus: refused before it revokes (ENODEV)".into()),
            Bus::Behind(_) => Ok(self.unseen(Unseen::HotReset)),
            Bus::BehindSlow(port) => Err(format!("behind `{port}` it fails after it has revoked: see failed-hot-reset")),
        }
    }

    /// The first DMA is lost; by its fault record the VMM notices.
    fn unseen(&self, what: Unseen) -> (Story<'a>, End) {
        let mut story = self.begin();
        let bar = (what == Unseen::Unmap).then_some(self.target.place.bar);
        story.fault_log();
        story.act(Action::Unseen { device: self.name(), what, bar, offset: 0 });
        story.dma(self.engine, self.target, Fate::Lost);
        if what == Unseen::HotReset {
            for (_, target) in self.siblings() {
                story.fault_log();
                story.dma(self.engine, target, Fate::Lost);
            }
        }
        story.all_land();
        (story, End::DmaBack)
    }

    fn held(&self, what: Hold) -> (Story<'a>, End) {
        let mut story = self.begin();
        let (device, to) = (self.name(), self.target.place.clone());
        let attach = |expect: &str| Action::Attach {
            to: to.clone(),
            after: Default::default(),
            background: false,
            expect: expect.into(),
        };
        story.act(Action::Hold { device: device.clone(), what });
        story.act(Action::Close { device: device.clone() });
        // Nothing of the VMM's is left, and the dma-buf is live.
        story.act(attach("ok"));
        story.act(Action::LetGo { device });
        story.act(attach("ENODEV"));
        self.gone(&mut story, &[self.victim]);
        (story, End::Gone)
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
        story.through(self.engine, self.target, lasts, &[action]);
        story.all_land();
        Ok((story, End::Back))
    }

    fn short(&self, action: Action) -> Told<'a> {
        let mut story = self.begin();
        if matches!(action, Action::HotReset { .. }) {
            story.watch_beside(self.siblings().map(|(_, target)| target));
        }
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
        story.away(self.engine, self.target);
        story.engine_answers(self.engine);
        story.all_land();
    }
}
