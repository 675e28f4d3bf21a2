//! What takes decode, power or the place of a BAR away and gives it back.

use super::{Cast, Told};
use crate::device::Bus;
use crate::story::{Lasts, Story};
use crate::wanted::End;
use barkeep_scenario::Action;
use barkeep_scenario::language::{Content, Place};

impl<'a> Cast<'a> {
    pub(super) fn decode_off(&self) -> Told<'a> {
        let off = Action::DecodeOff { device: self.name(), vcpu: 0, background: false };
        let on = Action::DecodeOn { device: self.name(), vcpu: 0, background: false };
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

    pub(super) fn d3hot(&self) -> Told<'a> {
        if !self.victim.power {
            return Err("no power management capability".into());
        }
        let off = Action::D3hot { device: self.name(), vcpu: 0, background: false };
        Ok(self.in_between(off, Action::D0 { device: self.name(), vcpu: 0, background: false }))
    }

    pub(super) fn low_power(&self) -> (Story<'a>, End) {
        let (device, expect) = (self.name(), "ok".to_owned());
        let entry = Action::LowPowerEntry { device: device.clone(), wakes: false, expect: expect.clone() };
        self.in_between(entry, Action::LowPowerExit { device, expect })
    }

    pub(super) fn low_power_wake(&self) -> Told<'a> {
        if self.victim.bus == Bus::Simulated {
            return Err("a simulated device does not wake up".into());
        }
        let mut story = self.begin();
        story.act(Action::LowPowerEntry { device: self.name(), wakes: true, expect: "ok".into() });
        story.away(self.engine, self.target);
        // Any access of the VMM's to the device wakes it, so a guest's to its config space does.
        story.act(Action::DecodeOn { device: self.name(), vcpu: 0, background: false });
        story.pause();
        story.all_land();
        Ok((story, End::Back))
    }

    pub(super) fn bar_move(&self) -> (Story<'a>, End) {
        let mut story = self.begin();
        let place = &self.target.place;
        let moves = Action::BarMove { device: self.name(), bar: place.bar, vcpu: 0 };
        self.shortly(&mut story, &moves);
        let before = Place { moved_from: true, ..place.clone() };
        story.verify_at(before, self.target.size, Content::Ones);
        story.all_land();
        (story, End::Back)
    }
}
