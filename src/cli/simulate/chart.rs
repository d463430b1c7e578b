//! Charts as SVG: small, without scripts, and readable on a light page and on a dark one.

use std::fmt::Write as _;

use super::compare::{FAULTS, Row};
use crate::policy::simulate::Run;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 48.0;
/// The most points of a line: more than that cannot be seen.
const POINTS_MAX: usize = 240;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:15px;font-weight:600}.g{stroke:#8884;\
stroke-width:1}.m{stroke:#888;stroke-dasharray:3 3}.a{stroke:#0969da;fill:none;stroke-width:2.5}.b{stroke:#cf222e;\
fill:none;stroke-width:2.5}.p{fill:#cf222e}.q{fill:#0969da}.r{stroke:#cf222e88;stroke-width:3}.s{stroke:#0969da;\
stroke-width:3}.e{text-anchor:end}.c{text-anchor:middle}@media(prefers-color-scheme:dark){text{fill:#e6edf3}\
.a,.s{stroke:#58a6ff}.q{fill:#58a6ff}.b{stroke:#ff7b72}.p{fill:#ff7b72}.r{stroke:#ff7b7288}}";

/// A logarithmic axis between two values, over pixels.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let share = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }
}

/// Devices that have the release over time, under the policy and without any staging.
pub(super) fn exposure(run: &Run, bare: &Run) -> String {
    let ended = |run: &Run| run.halt.as_ref().map_or(run.minute_of(1.0).unwrap_or(run.last_minute), |halt| halt.minute);
    let last = f64::from(ended(run).max(ended(bare))) * 1.25 / 60.0;
    let x = |hour: f64| LEFT + (hour / last).min(1.0) * (WIDTH - LEFT - RIGHT);
    let y = devices_axis(run.devices);
    let title = match &run.halt {
        Some(_) => "A bad release: devices that got it",
        None => "A good release: devices that have it",
    };
    let mut svg = begin(title);
    devices_grid(&mut svg, &y, run.devices);
    let step = [0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 12.0, 24.0, 48.0, 168.0].into_iter().find(|step| last / step <= 10.0);
    let step = step.unwrap_or(720.0);
    for tick in 0..=(last / step) as u32 {
        let hour = f64::from(tick) * step;
        put(&mut svg, x(hour), HEIGHT - BOTTOM + 18.0, "c", &format!("{hour} h"));
    }
    put(&mut svg, WIDTH / 2.0, HEIGHT - 8.0, "c", "after the publication");
    for (place, opening) in run.openings.iter().filter(|opening| opening.wave == 0).enumerate() {
        let at = x(f64::from(opening.minute) / 60.0);
        let _ = write!(svg, "<path class=\"m\" d=\"M{at:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM);
        put(&mut svg, at + 4.0, TOP + 12.0 + 14.0 * (place % 4) as f64, "", &opening.ring);
    }
    for (class, name, run) in [("b", "no staging", bare), ("a", "this policy", run)] {
        let end = ended(run);
        line(&mut svg, class, run, end, &x, &y);
        let (hour, hit) = (f64::from(end) / 60.0, run.hit());
        let halted = if run.halt.is_some() { ", halted" } else { "" };
        let label = format!("{name}: {}{halted}", crate::cli::output::grouped(hit));
        let dot = if class == "a" { "q" } else { "p" };
        let _ = write!(svg, "<circle class=\"{dot}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>", x(hour), y.at(hit as f64));
        let side = if x(hour) > WIDTH / 2.0 { ("e", -8.0) } else { ("", 8.0) };
        put(&mut svg, x(hour) + side.1, y.at(hit as f64) - 8.0, side.0, &label);
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, class: &str, run: &Run, end: u32, x: &impl Fn(f64) -> f64, y: &Axis) {
    let curve = run.curve();
    let count = (end as usize + 1).min(curve.len());
    let every = count.div_ceil(POINTS_MAX).max(1);
    let _ = write!(svg, "<path class=\"{class}\" d=\"M{:.1} {:.1}", x(0.0), y.at(1.0));
    for minute in (0..count).step_by(every).chain(count.checked_sub(1)) {
        let _ = write!(svg, "L{:.1} {:.1}", x((minute + 1) as f64 / 60.0), y.at(curve[minute] as f64));
    }
    svg.push_str("\"/>");
}

/// How many devices each rule lets a bad release hit, against how long a good one takes.
pub(super) fn frontier(rows: &[Row], devices: u64) -> String {
    let mut svg = begin("Safety against freshness: down is safer, left is fresher");
    let y = devices_axis(devices);
    devices_grid(&mut svg, &y, devices);
    let x = Axis { low: 3.0, high: 200.0, from: LEFT + 20.0, to: WIDTH - RIGHT };
    for hour in [3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 24.0, 48.0, 96.0, 168.0] {
        put(&mut svg, x.at(hour), HEIGHT - BOTTOM + 18.0, "c", &format!("{hour}"));
    }
    put(&mut svg, WIDTH / 2.0, HEIGHT - 8.0, "c", "hours until a good release is on 95 % of the reachable devices");
    for row in rows {
        let Some(hours) = row.hours else { continue };
        let (dot, bar) = if row.is_ours { ("q", "s") } else { ("p", "r") };
        let at = x.at(hours);
        let (low, high) = row.hit.iter().fold((u64::MAX, 0), |(low, high), hit| (low.min(*hit), high.max(*hit)));
        let (bottom, top) = (y.at(low as f64), y.at(high as f64));
        let _ = write!(svg, "<path class=\"{bar}\" d=\"M{at:.1} {bottom:.1}V{top:.1}\"/>");
        for (hit, fault) in row.hit.iter().zip(FAULTS) {
            let hint = format!("{}, {fault}: {hit}", escape(&row.name));
            let middle = y.at(*hit as f64);
            let _ = write!(
                svg,
                "<circle class=\"{dot}\" cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"4\"><title>{hint}</title></circle>"
            );
        }
        let _ = write!(
            svg,
            "<text transform=\"translate({:.1} {:.1}) rotate(-90)\" class=\"e\">{}</text>",
            at - 7.0,
            top,
            escape(&row.name)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn begin(title: &str) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\"><style>{STYLE}</style><text class=\"t\" x=\"16\" y=\"26\">{title}</text>"
    )
}

fn devices_axis(devices: u64) -> Axis {
    Axis { low: 1.0, high: devices.max(10) as f64, from: HEIGHT - BOTTOM, to: TOP }
}

/// Lines at the powers of ten.
fn devices_grid(svg: &mut String, y: &Axis, devices: u64) {
    let mut mark = 1;
    while mark <= devices.max(10) {
        let at = y.at(mark as f64);
        let _ = write!(svg, "<path class=\"g\" d=\"M{LEFT} {at:.1}H{}\"/>", WIDTH - RIGHT);
        put(svg, LEFT - 8.0, at + 4.0, "e", &crate::cli::output::grouped(mark));
        mark *= 10;
    }
    put(svg, 16.0, TOP - 12.0, "", "devices");
}

fn put(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let _ = write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(text));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
