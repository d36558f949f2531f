//! What a plot shows, without how it is drawn.

#[derive(Clone, Debug)]
pub(super) struct Plot {
    name: &'static str,
    pub(super) title: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// One bar per series in each group.
    Bars(Bars),
    /// One bar per group, of one piece per series.
    Stacked(Bars),
    Lines {
        x: Axis,
        y: Axis,
        lines: Vec<Line>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Bars {
    pub(super) unit: &'static str,
    pub(super) series: Vec<String>,
    pub(super) groups: Vec<Group>,
}

/// A value for each series, in their order, or none.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// With its unit.
    pub(super) label: &'static str,
    pub(super) logarithmic: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

impl Plot {
    /// `name` names the file.
    pub(super) fn new(name: &'static str, title: &str, kind: Kind) -> Self {
        Self {
            name,
            title: title.to_owned(),
            kind,
        }
    }

    pub(super) fn file(&self) -> String {
        format!("{}.svg", self.name)
    }
}
