//! Draws plots as SVG that reads well on a light and on a dark page.

mod axes;
mod bars;
mod lines;

use ::svg::Document;
use ::svg::node::element::{Rectangle, Style, Text};

use super::plot::{Kind, Plot};

const WIDTH: f64 = 760.0;
const MARGIN: f64 = 20.0;
/// Of the text, in pixels.
const LETTER: f64 = 13.0;
/// What a letter of a sans-serif font is wide on average, of its height.
const LETTER_WIDTH: f64 = 0.62;
/// From one line of text to the next.
const LINE: f64 = 20.0;
const COLOURS: usize = 6;

/// Colours by Okabe and Ito, which colour-blind people can tell apart; a little
/// lighter on a dark page.
const STYLE: &str = "
text { font-family: system-ui, 'DejaVu Sans', sans-serif; font-size: 13px; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.strong { font-weight: 600; }
.faint { fill: #59636e; }
.paper { fill: #ffffff; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.c0 { fill: #0072b2; } .line.c0 { fill: none; stroke: #0072b2; }
.c1 { fill: #56b4e9; } .line.c1 { fill: none; stroke: #56b4e9; }
.c2 { fill: #e69f00; } .line.c2 { fill: none; stroke: #e69f00; }
.c3 { fill: #d55e00; } .line.c3 { fill: none; stroke: #d55e00; }
.c4 { fill: #8c959f; } .line.c4 { fill: none; stroke: #8c959f; }
.c5 { fill: #009e73; } .line.c5 { fill: none; stroke: #009e73; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.faint { fill: #9198a1; }
.paper { fill: #0d1117; }
.grid { stroke: #30363d; }
.c0 { fill: #2482c4; } .line.c0 { stroke: #2482c4; }
.c1 { fill: #8fd0f5; } .line.c1 { stroke: #8fd0f5; }
.c3 { fill: #ec7a2d; } .line.c3 { stroke: #ec7a2d; }
.c5 { fill: #1fbf91; } .line.c5 { stroke: #1fbf91; }
}
";

/// The text of the SVG file.
pub(super) fn draw(plot: &Plot) -> String {
    let mut sheet = Sheet {
        nodes: Vec::new(),
        y: MARGIN + LETTER,
    };
    sheet.text(MARGIN, sheet.y, "title", "start", &plot.title);
    sheet.y += LINE;
    match &plot.kind {
        Kind::Bars(bars) => bars::draw_grouped(&mut sheet, bars),
        Kind::Stacked(bars) => bars::draw_stacked(&mut sheet, bars),
        Kind::Lines { x, y, lines } => lines::draw(&mut sheet, *x, *y, lines),
    }
    sheet.finish(&plot.title)
}

/// A sheet that is filled from top to bottom.
struct Sheet {
    nodes: Vec<Box<dyn ::svg::Node>>,
    y: f64,
}

impl Sheet {
    fn add(&mut self, node: impl Into<Box<dyn ::svg::Node>>) {
        self.nodes.push(node.into());
    }

    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
        let text = Text::new(words)
            .set("x", rounded(x))
            .set("y", rounded(y))
            .set("class", class)
            .set("text-anchor", anchor);
        self.add(text);
    }

    fn bar(&mut self, x: f64, width: f64, height: f64, colour: usize) {
        let bar = Rectangle::new()
            .set("x", rounded(x))
            .set("y", rounded(self.y))
            .set("width", rounded(width.max(1.0)))
            .set("height", rounded(height))
            .set("class", colour_of(colour));
        self.add(bar);
    }

    /// Names of series beside their colours, in as many lines as they need.
    fn legend(&mut self, names: &[String]) {
        const SWATCH: f64 = 12.0;
        let mut x = MARGIN;
        for (at, name) in names.iter().enumerate() {
            let width = SWATCH + 6.0 + width_of(name) + 18.0;
            if x + width > WIDTH - MARGIN && x > MARGIN {
                x = MARGIN;
                self.y += LINE;
            }
            self.bar(x, SWATCH, SWATCH, at);
            self.text(x + SWATCH + 6.0, self.y + SWATCH - 1.0, "", "start", name);
            x += width;
        }
        self.y += LINE;
    }

    fn finish(self, title: &str) -> String {
        let height = rounded(self.y + MARGIN / 2.0);
        let paper = Rectangle::new()
            .set("width", WIDTH)
            .set("height", height)
            .set("rx", 6)
            .set("class", "paper");
        let mut whole = Document::new()
            .set("viewBox", (0, 0, WIDTH, height))
            .set("width", WIDTH)
            .set("height", height)
            .set("role", "img")
            .set("aria-label", title)
            .add(Style::new(STYLE))
            .add(paper);
        for node in self.nodes {
            whole = whole.add(node);
        }
        format!("{whole}\n")
    }
}

fn colour_of(series: usize) -> String {
    format!("c{}", series % COLOURS)
}

fn width_of(text: &str) -> f64 {
    as_f64(text.chars().count()) * LETTER * LETTER_WIDTH
}

/// Tenths of a pixel are enough, and keep the files small.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// As many digits as a reader can use.
fn figure(number: f64) -> String {
    let digits = match number.abs() {
        number if number >= 100.0 => 0,
        number if number >= 10.0 => 1,
        _ => 2,
    };
    format!("{number:.digits$}")
}
