//! Between two episodes: everything as it was at the start.

use crate::carry_out::DEFAULT;
use crate::device_file::{self, DeviceFile};
use crate::hands::{Hands, Site};
use crate::marks::Marks;
use crate::post::Post;
use crate::presence::Presence;
use crate::spaces::Spaces;
use barkeep_model::Errno;

impl Hands {
    /// Gives up everything and puts back what was changed.
    ///
    /// The order is the point: reset methods first, for the last close to reset by; then what
    /// keeps device files open, then those; only then can calls that waited for that come back
    /// and devices that were being removed be gone; memory last, as it outlives every reset.
    pub(crate) fn begin(&mut self) -> Result<(), Errno> {
        for site in self.sites.iter_mut().filter(|site| site.methods_taken) {
            // A device that is gone comes back with its default methods.
            let _ = site.folder.write("reset_method", DEFAULT);
            site.methods_taken = false;
        }
        // Whoever is still open saves the open, and two resets with it.
        for (_, file) in self.files.full() {
            let _ = wipe(&mut self.marks, &self.sites, file);
        }
        // Before what revokes: that would wait for whoever holds on.
        self.imports.clear();
        self.maps.clear();
        self.file_post = Post::new()?;
        self.buffer_post = Post::new()?;
        self.buffers.clear();
        self.files.clear();
        self.settle();
        self.late.join();
        self.settle();
        for site in &mut self.sites {
            if matches!(site.presence, Presence::Gone) {
                site.folder.bring_back()?;
                site.presence = Presence::There;
            }
        }
        for (number, site) in self.sites.iter().enumerate() {
            let device = number as u8;
            if site.facts.memory_bar.is_some_and(|bar| self.marks.has(device, bar)) {
                let file = device_file::open(&site.folder, self.probe.context())?;
                wipe(&mut self.marks, &self.sites, &DeviceFile { device, context: 0, file })?;
            }
        }
        self.marks.clear();
        self.spaces = Spaces::new(&self.ram)?;
        Ok(())
    }
}

/// Zeroes in the words of a device's memory that may hold something else, as long as it decodes.
fn wipe(marks: &mut Marks, sites: &[Site], file: &DeviceFile) -> Result<(), Errno> {
    let Some(facts) = sites.get(usize::from(file.device)).map(|site| &site.facts) else { return Ok(()) };
    let Some(bar) = facts.memory_bar else { return Ok(()) };
    let size = facts.bar_sizes.get(usize::from(bar)).copied().unwrap_or_default();
    for word in marks.of(file.device, bar).filter(|word| *word < size) {
        file.region_write(bar, word, 0)?;
    }
    marks.remove(file.device, bar);
    Ok(())
}
