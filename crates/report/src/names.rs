//! What things are called.

use crate::style::fit;
use barkeep_journal::{DeviceAddress, Event, Trigger, json};
use std::collections::BTreeMap;

/// The names devices were opened under.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<DeviceAddress, String>);

impl Names {
    /// A device was opened: the first word of the text is its name.
    pub fn opened(&mut self, event: &Event) {
        if let (Some(address), Some(name)) = (event.device, event.text.split_whitespace().next()) {
            self.0.insert(address, fit(name, 16));
        }
    }

    /// `nvme 0000:00:03.0`, or the address alone.
    pub fn full(&self, device: Option<DeviceAddress>) -> String {
        match device {
            None => "a device".to_owned(),
            Some(address) => match self.0.get(&address) {
                Some(name) => format!("{name} {address}"),
                None => address.to_string(),
            },
        }
    }

    /// The name, or the address where there is none.
    pub fn short(&self, device: Option<DeviceAddress>) -> String {
        match device.and_then(|address| self.0.get(&address)) {
            Some(name) => name.clone(),
            None => self.full(device),
        }
    }

    /// `nvme BAR 2`.
    pub fn bar(&self, event: &Event) -> String {
        match event.bar {
            Some(bar) => format!("{} BAR {bar}", self.short(event.device)),
            None => self.short(event.device),
        }
    }
}

/// A trigger as a person says it.
pub fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::None => "event",
        Trigger::Flr => "FLR",
        Trigger::AfFlr => "AF FLR",
        Trigger::DecodeOff => "decode off",
        Trigger::DecodeOn => "decode on",
        Trigger::D3hot => "D3hot",
        Trigger::D0 => "D0",
        Trigger::DeviceReset => "device reset",
        Trigger::HotReset => "hot reset",
        Trigger::Close => "close",
        Trigger::BarMove => "BAR move",
        Trigger::Suspect => "suspicion",
        Trigger::Start => "start",
        Trigger::LowPowerEntry => "low power",
        Trigger::LowPowerExit => "end of low power",
        Trigger::Remove => "removal",
        Trigger::SysfsReset => "reset through sysfs",
        Trigger::Unmap => "unmap by somebody else",
    }
}

/// An errno's name, or the number.
pub fn result(result: i32) -> String {
    json::errno_name(result).map_or_else(|| result.to_string(), str::to_owned)
}
