//! Where a value lies on a sheet, and which round values to mark.

use super::super::plot::Axis;

/// Values from `low` to `high`, spread from pixel `from` to pixel `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Holds all `values`; one that is not logarithmic begins at zero.
    pub(super) fn new(
        axis: Axis,
        values: impl Iterator<Item = f64> + Clone,
        from: f64,
        to: f64,
    ) -> Self {
        let most = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        let least = values.filter(|it| *it > 0.0).fold(most, f64::min);
        let low = if axis.logarithmic { least } else { 0.0 };
        Self {
            logarithmic: axis.logarithmic,
            low,
            high: if most > low { most } else { low * 10.0 },
            from,
            to,
        }
    }

    /// The same up to the next round value, so that no line ends above all
    /// marks.
    pub(super) fn rounded_up(mut self) -> Self {
        if !self.logarithmic {
            let step = self.step();
            self.high = (self.high / step).ceil() * step;
        }
        self
    }

    pub(super) fn pixel(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    /// About five round values inside.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            return self.logarithmic_ticks();
        }
        let step = self.step();
        (0..=10)
            .map(|at| step * f64::from(at))
            .take_while(|tick| *tick <= self.high * 1.001)
            .collect()
    }

    /// Of a linear scale.
    fn step(&self) -> f64 {
        let rough = (self.high - self.low) / 5.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude);
        let step = round.into_iter().find(|step| *step >= rough);
        step.unwrap_or(rough)
    }

    fn logarithmic_ticks(&self) -> Vec<f64> {
        let decades = self.high.log10() - self.low.log10();
        let marks: &[f64] = if decades > 3.0 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let mut decade = 10_f64.powf(self.low.log10().floor());
        let mut ticks = Vec::new();
        while decade <= self.high {
            ticks.extend(marks.iter().map(|mark| mark * decade));
            decade *= 10.0;
        }
        ticks.retain(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick));
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(logarithmic: bool, values: &[f64]) -> Scale {
        let axis = Axis {
            label: "",
            logarithmic,
        };
        Scale::new(axis, values.iter().copied(), 100.0, 0.0)
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            scale(false, &[3.0, 47.0]).ticks(),
            [0.0, 10.0, 20.0, 30.0, 40.0]
        );
        assert_eq!(
            scale(true, &[1.0, 50.0]).ticks(),
            [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
        );
    }

    #[test]
    fn a_rounded_scale_ends_at_a_mark() {
        let scale = scale(false, &[3.0, 47.0]).rounded_up();
        assert_eq!(scale.ticks().last(), Some(&50.0));
        assert!(scale.pixel(50.0).abs() < 1e-9);
    }

    #[test]
    fn the_ends_of_a_scale_are_the_ends_of_its_pixels() {
        for logarithmic in [false, true] {
            let scale = scale(logarithmic, &[1.0, 100.0]);
            assert!(scale.pixel(100.0).abs() < 1e-9);
            let low = if logarithmic { 1.0 } else { 0.0 };
            assert!((scale.pixel(low) - 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn one_value_alone_can_be_drawn() {
        for logarithmic in [false, true] {
            assert!(scale(logarithmic, &[7.0]).pixel(7.0).is_finite());
            assert!(scale(logarithmic, &[]).ticks().len() < 50);
        }
    }
}
