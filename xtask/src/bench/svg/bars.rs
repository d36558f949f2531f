//! Horizontal bars, each with its name before it and its value behind.

use super::super::plot::Bars;
use super::{LINE, MARGIN, Sheet, WIDTH, figure, width_of};

const BAR: f64 = 15.0;
const STEP: f64 = 19.0;
/// For the value behind the longest bar.
const VALUE: f64 = 60.0;

pub(super) fn draw_grouped(sheet: &mut Sheet, bars: &Bars) {
    unit(sheet, bars.unit);
    let left = MARGIN + widest(&bars.series) + 10.0;
    let values = bars.groups.iter().flat_map(|group| &group.values);
    let pixels = pixels_per_unit(left, values.copied().flatten());
    for group in &bars.groups {
        sheet.y += LINE;
        sheet.text(MARGIN, sheet.y, "strong", "start", &group.name);
        sheet.y += 8.0;
        for (at, (name, value)) in bars.series.iter().zip(&group.values).enumerate() {
            let base = sheet.y + BAR - 3.0;
            sheet.text(left - 8.0, base, "", "end", name);
            let width = value.map_or(0.0, |value| value * pixels);
            if value.is_some() {
                sheet.bar(left, width, BAR, at);
            }
            let words = value.map_or_else(|| "not measured".to_owned(), figure);
            sheet.text(left + width + 6.0, base, "faint", "start", &words);
            sheet.y += STEP;
        }
    }
}

pub(super) fn draw_stacked(sheet: &mut Sheet, bars: &Bars) {
    unit(sheet, bars.unit);
    sheet.y += 4.0;
    sheet.legend(&bars.series);
    let names: Vec<String> = bars.groups.iter().map(|group| group.name.clone()).collect();
    let left = MARGIN + widest(&names) + 10.0;
    let sum = |values: &[Option<f64>]| values.iter().flatten().sum::<f64>();
    let pixels = pixels_per_unit(left, bars.groups.iter().map(|group| sum(&group.values)));
    sheet.y += 6.0;
    for group in &bars.groups {
        let base = sheet.y + BAR - 3.0;
        sheet.text(left - 8.0, base, "", "end", &group.name);
        let mut x = left;
        for (at, value) in group.values.iter().enumerate() {
            let width = value.unwrap_or_default() * pixels;
            if width > 0.0 {
                sheet.bar(x, width, BAR, at);
            }
            x += width;
        }
        let words = figure(sum(&group.values));
        sheet.text(x + 6.0, base, "faint", "start", &words);
        sheet.y += STEP + 5.0;
    }
}

fn unit(sheet: &mut Sheet, unit: &str) {
    sheet.text(MARGIN, sheet.y, "faint", "start", unit);
    sheet.y += 6.0;
}

fn widest(names: &[String]) -> f64 {
    names.iter().map(|name| width_of(name)).fold(0.0, f64::max)
}

fn pixels_per_unit(left: f64, values: impl Iterator<Item = f64>) -> f64 {
    (WIDTH - MARGIN - VALUE - left) / values.fold(f64::MIN_POSITIVE, f64::max)
}
