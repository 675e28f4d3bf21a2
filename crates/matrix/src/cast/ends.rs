//! What a device does not come back from.

use super::{Cast, Told};
use crate::story::Story;
use crate::wanted::End;
use barkeep_scenario::Action;
use barkeep_scenario::language::{Fate, Hold, Release};

impl<'a> Cast<'a> {
    pub(super) fn close(&self) -> (Story<'a>, End) {
        let mut story = self.begin();
        story.act(Action::Close { device: self.name() });
        self.gone(&mut story, &[self.victim]);
        (story, End::Gone)
    }

    pub(super) fn physical(&self) -> Result<&'a str, String> {
        let physical = self.victim.function_of.as_deref();
        physical.ok_or_else(|| "not a virtual function".into())
    }

    pub(super) fn remove(&self, functions_of: Option<&str>) -> Told<'a> {
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
            unbind: false,
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

    pub(super) fn held(&self, what: Hold) -> (Story<'a>, End) {
        let mut story = self.begin();
        let (device, to) = (self.name(), self.target.place.clone());
        let attach = |expect: &str| Action::Attach {
            to: to.clone(),
            after: Default::default(),
            background: false,
            expect: expect.into(),
        };
        let (bar, offset, expect) = (None, 0, "ok".to_owned());
        story.act(Action::Hold { device: device.clone(), what, bar, offset, expect });
        story.act(Action::Close { device: device.clone() });
        // Nothing of the VMM's is left, and the dma-buf is live.
        story.act(attach("ok"));
        story.act(Action::LetGo { device, what: None, bar: None, offset: 0 });
        story.act(attach("ENODEV"));
        self.gone(&mut story, &[self.victim]);
        (story, End::Gone)
    }
}
