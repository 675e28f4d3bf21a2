//! A still of the timeline. The same journal gives the same bytes.
//!
//! A revoke has steps of ten microseconds beside a reset of a hundred milliseconds. So where there are few
//! moments, the time between two of them is as wide as its logarithm, and each moment of weight has its
//! time written under it; where there are many, the axis is even.

mod rows;
mod scale;
mod text;

use crate::drawing::{Drawing, is_frame};
use crate::label;
use crate::sentence::trigger_name;
use crate::survey::Survey;
use barkeep_journal::{DeviceAddress, Kind};
use barkeep_report::style::Tone;
use barkeep_report::time::{duration, lane_and_clock, rough};
use barkeep_timeline::{Outage, Party, Slice, Way, What};
use rows::Rows;
use scale::Scale;
use std::collections::BTreeMap;
use std::fmt::Write as _;
pub(crate) use text::escaped;
use text::fitting;

/// Units from the left edge to the first moment, and from the last one to the right edge.
const LEFT: f64 = 108.0;
const RIGHT: f64 = 36.0;
/// Units of all of it.
const WIDTH: f64 = 1180.0;
/// Units of a row, and of what stands in it.
const ROW: f64 = 20.0;
const BAR: f64 = 16.0;

const STYLE: &str = "\
text{font:11px ui-sans-serif,system-ui,Helvetica,Arial,sans-serif;fill:#1f2328}\
.h{font-size:13px;font-weight:600}.s{fill:#59636e}.l{font-weight:600}.t{font-size:10px;fill:#59636e}\
.f{fill:#fff}.b{font-size:10px}.e{text-anchor:end}";

/// Draws it.
pub fn draw(survey: &Survey, drawing: &Drawing) -> String {
    let scale = Scale::new(drawing, LEFT, WIDTH - RIGHT);
    let mut out = Still { scale: &scale, survey, body: String::new(), y: 54.0 };
    out.ways(drawing);
    let top = out.y;
    out.lanes(drawing);
    let bottom = out.y;
    let shades = out.shades(drawing, top, bottom);
    out.axis(bottom);
    let height = out.y + 8.0;
    let title = escaped(&survey.title);
    let below = escaped(&out.subtitle(drawing));
    let body = out.body;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height:.0}\" fill=\"#fff\"/>\n\
         <text class=\"h\" x=\"12\" y=\"22\">{title}</text>\n<text class=\"s\" x=\"12\" y=\"40\">{below}</text>\n\
         {shades}{body}</svg>\n"
    )
}

struct Still<'a> {
    scale: &'a Scale,
    survey: &'a Survey,
    body: String,
    y: f64,
}

impl Still<'_> {
    fn subtitle(&self, drawing: &Drawing) -> String {
        let (from, to) = drawing.ns;
        let start = self.survey.numbers.start_ns();
        let mut text = format!(
            "{}; {} to {} since the start of the run",
            lane_and_clock(self.survey.header),
            duration(from.saturating_sub(start)),
            duration(to.saturating_sub(start))
        );
        if let Some(put_together) = drawing.put_together() {
            text += "; ";
            text += &put_together;
        } else if self.scale.is_logarithmic() {
            text += "; the time between two moments is as wide as its logarithm";
        }
        if !self.survey.damages.is_empty() {
            let _ = write!(text, "; {} lines of the journal cannot be read", self.survey.damages.count());
        }
        text
    }

    /// A row for each window and way that was away.
    fn ways(&mut self, drawing: &Drawing) {
        let mut windows: BTreeMap<(Way, DeviceAddress, u8, u64), Vec<&Outage>> = BTreeMap::new();
        for outage in &drawing.outages {
            windows.entry((outage.way, outage.device, outage.bar, outage.address)).or_default().push(outage);
        }
        // More than a page holds are in the shades behind the lanes.
        for ((way, device, bar, _), outages) in windows.into_iter().take(24) {
            let name = format!("{way} {} BAR {bar}", self.survey.names.short(Some(device)));
            self.text("t", 12.0, self.y + 12.0, &fitting(&name, LEFT - 16.0));
            for outage in outages {
                self.outage(outage);
            }
            self.y += ROW - 2.0;
        }
        self.y += 6.0;
    }

    fn outage(&mut self, outage: &Outage) {
        let fill = match outage.way {
            Way::Cpu => "#d1242f",
            Way::P2p => "#bc4c00",
        };
        let until = match outage.ns() {
            Some(ns) => format!("away for {}", rough(ns)),
            None => "away, and not back".to_owned(),
        };
        let said = format!("{until} ({})", trigger_name(outage.taken.trigger));
        let end = outage.end.map(|end| end.time_ns);
        let _ = self.bar((outage.taken.time_ns, end), fill, &said, &format!("{}: {said}", outage.way));
    }

    fn lanes(&mut self, drawing: &Drawing) {
        for party in Party::ALL {
            let mut rows = Rows::default();
            let top = self.y;
            let of_it = drawing.slices.iter().filter(|slice| slice.party == *party && !is_frame(slice));
            let placed: Vec<_> =
                of_it.map(|slice| (rows.place(slice.begin_ns, slice.end_ns), slice)).collect();
            let marks = || drawing.marks.iter().filter(|mark| mark.party == *party).map(|mark| (0, mark.ns));
            for (n, (row, slice)) in placed.iter().enumerate() {
                self.y = top + 4.0 + *row as f64 * ROW;
                let after = placed[n + 1..].iter().map(|(row, slice)| (*row, slice.begin_ns)).chain(marks());
                let after = after.filter(|(in_row, ns)| in_row == row && *ns >= slice.begin_ns);
                let ends = |(row, slice): &(usize, &Slice)| (*row, slice.end_ns.unwrap_or(u64::MAX));
                let before = placed[..n].iter().map(ends).chain(marks());
                let before = before.filter(|(in_row, ns)| in_row == row && *ns <= slice.begin_ns);
                self.slice(slice, before.map(|(_, ns)| ns).max(), after.map(|(_, ns)| ns).min());
            }
            self.y = top + 4.0 + rows.count().max(1) as f64 * ROW;
            if let Some(bins) = &drawing.bins {
                self.bins(bins.of_party(*party), bins.width_ns(), drawing.ns.0, top + 4.0);
            }
            for mark in drawing.marks.iter().filter(|mark| mark.party == *party) {
                self.mark(mark, top);
            }
            self.text("l", 12.0, top + 16.0, party.name());
            let _ = writeln!(
                self.body,
                "<path d=\"M12 {top:.1}H{:.1}\" stroke=\"#d1d9e0\" fill=\"none\"/>",
                WIDTH - RIGHT
            );
        }
    }

    /// A slice; when the thing before it in its row ends, and the next one begins.
    fn slice(&mut self, slice: &Slice, before: Option<u64>, next: Option<u64>) {
        let said = label::of(slice);
        let took = slice.ns().map_or_else(|| "never ended".to_owned(), rough);
        let device = self.survey.names.short(slice.device);
        let place = match (slice.device, slice.bar) {
            (None, _) => String::new(),
            (Some(_), None) => format!("{device}: "),
            (Some(_), Some(bar)) => format!("{device} BAR {bar}: "),
        };
        let result = match slice.result {
            None | Some(0) => String::new(),
            Some(result) => format!(", {}", barkeep_report::names::result(result)),
        };
        let hover = format!("{place}{said}: {took}{result} (seq {})", slice.seq);
        let named =
            if slice.ns().is_some_and(|ns| ns >= 1_000_000) { format!("{said} {took}") } else { said };
        if self.bar((slice.begin_ns, slice.end_ns), colour(slice), &named, &hover) {
            return;
        }
        // Behind it or before it, where nothing else is.
        let from = self.scale.x(slice.end_ns.unwrap_or(u64::MAX)) + 4.0;
        let behind = fitting(&named, next.map_or(WIDTH - RIGHT, |ns| self.scale.x(ns) - 6.0) - from);
        let to = self.scale.x(slice.begin_ns) - 4.0;
        let ahead = fitting(&named, to - before.map_or(LEFT, |ns| self.scale.x(ns) + 6.0));
        let y = self.y + 12.0;
        if behind == named || ahead != named {
            self.text("b", from, y, &behind);
        } else {
            self.text("b e", to, y, &ahead);
        }
    }

    /// A bar, what stands in it where there is room (whether all of it does), and what shows under a pointer.
    fn bar(&mut self, (begin, end): (u64, Option<u64>), fill: &str, said: &str, hover: &str) -> bool {
        let x = self.scale.x(begin);
        let width = (self.scale.x(end.unwrap_or(u64::MAX)) - x).max(1.5);
        let dash = if end.is_none() { " stroke=\"#1f2328\" stroke-dasharray=\"3 2\"" } else { "" };
        let y = self.y;
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{fill}\"{dash}>\
             <title>{}</title></rect>",
            escaped(hover)
        );
        let inside = fitting(said, width - 6.0);
        let whole = inside == said;
        if whole {
            self.text("f b", x + 4.0, y + 12.0, &inside);
        }
        whole
    }

    fn bins(&mut self, bins: &[crate::drawing::bins::Bin], width_ns: u64, from: u64, y: f64) {
        for (n, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.busy_ns > 0 || bin.marks > 0) {
            let begin = from.saturating_add(width_ns.saturating_mul(n as u64));
            let x = self.scale.x(begin);
            let width = (self.scale.x(begin.saturating_add(width_ns)) - x).max(0.8);
            let share = (bin.busy_ns as f64 / width_ns as f64).clamp(0.08, 1.0);
            let height = BAR * share;
            let _ = writeln!(
                self.body,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"#8c959f\"/>",
                y + BAR - height
            );
        }
    }

    fn mark(&mut self, mark: &crate::drawing::Mark, top: f64) {
        let fill = match mark.tone {
            Tone::Quiet => "#8c959f",
            Tone::Notice => "#9a6700",
            Tone::Bad => "#d1242f",
            Tone::Good => "#1a7f37",
        };
        let (x, y) = (self.scale.x(mark.ns), top + 4.0);
        let _ = writeln!(
            self.body,
            "<path d=\"M{x:.1} {y:.1}l3.5 5l-3.5 5l-3.5 -5z\" fill=\"{fill}\" stroke=\"#fff\" stroke-width=\"0.6\">\
             <title>{} (seq {})</title></path>",
            escaped(&mark.text),
            mark.seq
        );
    }

    /// What is away, behind all lanes.
    fn shades(&self, drawing: &Drawing, top: f64, bottom: f64) -> String {
        let mut shades = String::new();
        for way in Way::ALL {
            let fill = match way {
                Way::Cpu => "#ffebe9",
                Way::P2p => "#fff1e5",
            };
            let spans = drawing.outages.iter().filter(|outage| outage.way == *way);
            let spans = spans.map(|o| (o.taken.time_ns, o.end.map_or(u64::MAX, |end| end.time_ns)));
            for (begin, end) in rows::union(spans.collect()) {
                let x = self.scale.x(begin);
                let width = self.scale.x(end) - x;
                let height = bottom - top;
                let _ = writeln!(
                    shades,
                    "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\" \
                     fill-opacity=\"0.7\"/>"
                );
            }
        }
        shades
    }

    fn axis(&mut self, top: f64) {
        let start = self.survey.numbers.start_ns();
        let _ = writeln!(
            self.body,
            "<path d=\"M{LEFT} {top:.1}H{:.1}\" stroke=\"#59636e\" fill=\"none\"/>",
            WIDTH - RIGHT
        );
        for (ns, x) in self.scale.ticks() {
            let since = ns.saturating_sub(start);
            let said = format!("{}.{:06}", since / 1_000_000_000, since % 1_000_000_000 / 1000);
            let _ = writeln!(
                self.body,
                "<path d=\"M{x:.1} {top:.1}v5\" stroke=\"#59636e\" fill=\"none\"/>\
                 <text class=\"t\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{said}</text>",
                top + 17.0
            );
        }
        self.text("t", 12.0, top + 17.0, "seconds");
        self.y = top + 24.0;
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        if text.is_empty() {
            return;
        }
        let _ =
            writeln!(self.body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(text));
    }
}

/// What takes away is red, what brings back is green.
fn colour(slice: &Slice) -> &'static str {
    if slice.result.is_some_and(|result| result < 0) {
        return "#a40e26";
    }
    match slice.what {
        What::Handling => "#57606a",
        What::Dma if slice.text == "landed" => "#1a7f37",
        What::Dma => "#9a6700",
        What::Step(Kind::Trigger) => "#8250df",
        What::Step(Kind::SlotRemove | Kind::P2pUnmap) => "#cf222e",
        What::Step(Kind::SlotAdd | Kind::P2pMap) => "#1a7f37",
        What::Step(Kind::FindOut) => "#0969da",
        What::Step(_) if slice.party == Party::Kernel => "#0550ae",
        What::Step(_) => "#6e7781",
    }
}
