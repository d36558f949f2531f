//! Lines over two axes.

use ::svg::node::element::{Circle, Line as Stroke, Polyline};

use super::super::plot::{Axis, Line};
use super::axes::Scale;
use super::{LINE, MARGIN, Sheet, WIDTH, colour_of, rounded};

const HEIGHT: f64 = 280.0;
/// For the values at the ticks of the vertical axis.
const LEFT: f64 = MARGIN + 48.0;
/// Beyond this many points, dots would hide the line.
const DOTS: usize = 24;

pub(super) fn draw(sheet: &mut Sheet, x: Axis, y: Axis, lines: &[Line]) {
    let names: Vec<String> = lines.iter().map(|line| line.name.clone()).collect();
    sheet.y -= 4.0;
    sheet.legend(&names);
    sheet.y += LINE - 8.0;
    sheet.text(MARGIN, sheet.y, "faint", "start", y.label);
    sheet.y += LINE - 3.0;
    let (top, bottom) = (sheet.y, sheet.y + HEIGHT);
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let across = Scale::new(x, points().map(|(x, _)| x), LEFT, WIDTH - MARGIN - 10.0);
    let up = Scale::new(y, points().map(|(_, y)| y), bottom, top).rounded_up();
    for tick in up.ticks() {
        let at = up.pixel(tick);
        grid(sheet, (LEFT, at), (WIDTH - MARGIN, at));
        sheet.text(LEFT - 6.0, at + 4.0, "faint", "end", &mark(tick));
    }
    for tick in across.ticks() {
        let at = across.pixel(tick);
        grid(sheet, (at, bottom), (at, bottom + 5.0));
        sheet.text(at, bottom + 18.0, "faint", "middle", &mark(tick));
    }
    let middle = f64::midpoint(LEFT, WIDTH - MARGIN);
    sheet.text(middle, bottom + 38.0, "faint", "middle", x.label);
    for (at, line) in lines.iter().enumerate() {
        let pixels = line.points.iter().map(|(x, y)| {
            let (x, y) = (across.pixel(*x), up.pixel(*y));
            (rounded(x), rounded(y))
        });
        let pixels: Vec<(f64, f64)> = pixels.collect();
        trace(sheet, at, &pixels);
    }
    sheet.y = bottom + 38.0;
}

fn trace(sheet: &mut Sheet, series: usize, pixels: &[(f64, f64)]) {
    let colour = colour_of(series);
    let corners = pixels.iter().map(|(x, y)| format!("{x},{y}"));
    let corners: Vec<String> = corners.collect();
    let line = Polyline::new()
        .set("points", corners.join(" "))
        .set("class", format!("line {colour}"));
    sheet.add(line);
    if pixels.len() > DOTS {
        return;
    }
    for (x, y) in pixels {
        let dot = Circle::new()
            .set("cx", *x)
            .set("cy", *y)
            .set("r", 3.5)
            .set("class", colour.as_str());
        sheet.add(dot);
    }
}

fn grid(sheet: &mut Sheet, from: (f64, f64), to: (f64, f64)) {
    let stroke = Stroke::new()
        .set("x1", rounded(from.0))
        .set("y1", rounded(from.1))
        .set("x2", rounded(to.0))
        .set("y2", rounded(to.1))
        .set("class", "grid");
    sheet.add(stroke);
}

/// Ticks are round, so their shortest form is exact.
fn mark(tick: f64) -> String {
    let text = format!("{tick:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}
