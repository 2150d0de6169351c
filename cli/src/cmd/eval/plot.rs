//! Plots as inline SVG. Colours come from the page's style sheet, so that they follow its light and dark scheme.

use std::fmt::Write;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 260.0;
/// Room for the labels: left, right, top, bottom.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;

/// The area of a plot, which maps 0..=1 on both axes to places in the picture.
struct Frame {
    svg: String,
}

impl Frame {
    /// Begins a picture that `title` describes to those who cannot see it.
    fn new(title: &str) -> Self {
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>", escape(title));
        let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
        let _ = write!(svg, "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/>");
        Self { svg }
    }

    fn x(part: f64) -> f64 {
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn y(part: f64) -> f64 {
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a `String` does not fail.
        let _ = self.svg.write_fmt(arguments);
    }

    fn x_tick(&mut self, part: f64, label: &str) {
        self.push(format_args!(
            "<text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            Self::x(part),
            HEIGHT - 24.0,
            escape(label)
        ));
    }

    /// A horizontal line with its label.
    fn y_tick(&mut self, part: f64, label: &str) {
        let (left, right, y) = (LEFT, WIDTH - RIGHT, Self::y(part));
        self.push(format_args!("<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>"));
        self.push(format_args!(
            "<text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left - 6.0,
            y + 4.0,
            escape(label)
        ));
    }

    fn x_title(&mut self, title: &str) {
        self.push(format_args!(
            "<text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            Self::x(0.5),
            HEIGHT - 6.0,
            escape(title)
        ));
    }

    fn end(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// How many queries have which value, in tenths of 0..=1.
pub(super) fn histogram(values: &[f64], measure: &str) -> String {
    let mut bins = [0usize; 10];
    for value in values {
        let bin = ((value * 10.0) as usize).min(9);
        if let Some(count) = bins.get_mut(bin) {
            *count += 1;
        }
    }
    let most = bins.iter().copied().max().unwrap_or(0).max(1);
    let mut frame = Frame::new(&format!("Histogram of {measure} over {} queries", values.len()));
    let step = nice_step(most as f64 / 4.0).max(1.0);
    let top = (most as f64 / step).ceil() * step;
    let mut tick = 0.0;
    while tick <= top {
        frame.y_tick(tick / top, &format!("{tick}"));
        tick += step;
    }
    for (bin, count) in bins.iter().enumerate() {
        let (from, to) = (bin as f64 / 10.0, (bin as f64 + 1.0) / 10.0);
        let (x, y) = (Frame::x(from) + 1.5, Frame::y(*count as f64 / top));
        let (width, height) = (Frame::x(to) - Frame::x(from) - 3.0, Frame::y(0.0) - y);
        frame.push(format_args!(
            "<rect class=\"first\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{from:.1} to {to:.1}: {count} queries</title></rect>"
        ));
    }
    for tenth in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        frame.x_tick(tenth, &format!("{tenth:.1}"));
    }
    frame.x_title(&format!("{measure} of a query; height: number of queries"));
    frame.end()
}

/// Lines over ranks on a logarithmic axis, each with its name; values in 0..=1. At most two.
pub(super) fn curves(series: &[(&str, Vec<(usize, f64)>)], title: &str) -> String {
    let deepest = series.iter().flat_map(|(_, points)| points).map(|(rank, _)| *rank).max().unwrap_or(1).max(2);
    let place = |rank: usize| (rank as f64).ln() / (deepest as f64).ln();
    let mut frame = Frame::new(title);
    for fifth in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        frame.y_tick(fifth, &format!("{fifth:.1}"));
    }
    for rank in [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000].into_iter().filter(|rank| *rank <= deepest) {
        frame.x_tick(place(rank), &rank.to_string());
    }
    for ((name, points), class) in series.iter().zip(["first", "second"]) {
        let path: Vec<String> = points
            .iter()
            .map(|(rank, value)| format!("{:.1} {:.1}", Frame::x(place(*rank)), Frame::y(*value)))
            .collect();
        frame.push(format_args!("<path class=\"line {class}\" d=\"M{}\"/>", path.join("L")));
        for (rank, value) in points {
            frame.push(format_args!(
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}, first {rank}: {value:.4}</title></circle>",
                Frame::x(place(*rank)),
                Frame::y(*value),
                escape(name)
            ));
        }
    }
    frame.x_title("first k passages (logarithmic)");
    frame.end()
}

/// The difference of each query between two runs, sorted, up for better.
pub(super) fn differences(values: &[f64], measure: &str) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let mut frame = Frame::new(&format!("Difference of {measure} for each of {} queries, sorted", sorted.len()));
    for tick in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        frame.y_tick((tick + 1.0) / 2.0, &format!("{tick:+.1}"));
    }
    let width = 1.0 / sorted.len().max(1) as f64;
    for (at, value) in sorted.iter().enumerate().filter(|(_, value)| **value != 0.0) {
        let (zero, end) = (Frame::y(0.5), Frame::y((value + 1.0) / 2.0));
        let class = if *value > 0.0 { "better" } else { "worse" };
        frame.push(format_args!(
            "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\"/>",
            Frame::x(at as f64 * width),
            zero.min(end),
            (Frame::x(width) - Frame::x(0.0)).max(0.5),
            (zero - end).abs()
        ));
    }
    frame.x_title(&format!("queries, by {measure} of the run less that of the baseline"));
    frame.end()
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= least).unwrap_or(power)
}

/// Text as HTML and SVG show it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
