//! Plots as SVG: panels side by side with a common legend.
//!
//! The same values give the same bytes, so that a test can compare the committed files.

use std::fmt::Write;

/// Lines in one coordinate system.
pub struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

/// What an axis shows.
#[derive(Clone, Copy)]
pub struct Axis {
    pub label: &'static str,
    pub scale: Scale,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    Linear,
    Logarithmic,
}

/// One system's points, in the order of the axis.
pub struct Line {
    pub name: String,
    /// Which of [`COLORS`] it has.
    pub color: usize,
    pub points: Vec<(f64, f64)>,
}

/// Colours that people tell apart who see fewer of them (Okabe and Ito).
pub const COLORS: [&str; 6] = ["#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];

const PANEL_WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 48.0;
const LEGEND: f64 = 30.0;
/// Width of a letter of the legend, about.
const LETTER: f64 = 7.0;

/// The plot, with a title for those who do not see it.
pub fn render(title: &str, panels: &[Panel]) -> String {
    let names = legend(panels);
    let width = PANEL_WIDTH * panels.len().max(1) as f64;
    let height = HEIGHT + LEGEND * rows(&names, width).len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#222\">\n<title>{}</title>\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#fff\"/>\n",
        escaped(title)
    );
    for (number, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({:.0} 0)\">", PANEL_WIDTH * number as f64);
        panel.draw(&mut svg);
        svg += "</g>\n";
    }
    for (row, names) in rows(&names, width).into_iter().enumerate() {
        let mut x = LEFT;
        for (name, color) in names {
            let y = HEIGHT + LEGEND * (row as f64 + 0.5);
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.0}\" cy=\"{:.0}\" r=\"5\" fill=\"{}\"/><text x=\"{:.0}\" y=\"{y:.0}\">{}</text>",
                y - 4.0,
                COLORS[color % COLORS.len()],
                x + 10.0,
                escaped(name)
            );
            x += entry_width(name);
        }
    }
    svg + "</svg>\n"
}

/// The names of all lines, each once.
fn legend(panels: &[Panel]) -> Vec<(&str, usize)> {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for line in panels.iter().flat_map(|panel| &panel.lines) {
        if !names.iter().any(|(name, _)| *name == line.name) {
            names.push((&line.name, line.color));
        }
    }
    names
}

fn entry_width(name: &str) -> f64 {
    30.0 + LETTER * name.len() as f64
}

/// The entries of the legend, as many in a row as fit.
fn rows<'a>(names: &[(&'a str, usize)], width: f64) -> Vec<Vec<(&'a str, usize)>> {
    let mut rows: Vec<Vec<(&str, usize)>> = vec![Vec::new()];
    let mut used = LEFT;
    for entry in names {
        if used + entry_width(entry.0) > width && used > LEFT {
            rows.push(Vec::new());
            used = LEFT;
        }
        used += entry_width(entry.0);
        if let Some(row) = rows.last_mut() {
            row.push(*entry);
        }
    }
    rows
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Range::of(self.x.scale, points().map(|(x, _)| *x), true);
        let y = Range::of(self.y.scale, points().map(|(_, y)| *y), false);
        let (bottom, right) = (HEIGHT - BOTTOM, PANEL_WIDTH - RIGHT);
        let at_x = |value: f64| LEFT + x.share(value) * (right - LEFT);
        let at_y = |value: f64| bottom - y.share(value) * (bottom - TOP);
        let _ =
            writeln!(svg, "<text x=\"{LEFT}\" y=\"18\" font-weight=\"600\">{}</text>", escaped(&self.title));
        for tick in &y.ticks {
            let height = at_y(*tick);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {height:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.0}\" y=\"{:.1}\" \
                 text-anchor=\"end\" font-size=\"11\">{}</text>",
                LEFT - 6.0,
                height + 4.0,
                short(*tick)
            );
        }
        for tick in &x.ticks {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\" font-size=\"11\">{}</text>",
                at_x(*tick),
                bottom + 16.0,
                short(*tick)
            );
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/><text x=\"{:.0}\" \
             y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            bottom + 36.0,
            escaped(self.x.label)
        );
        let _ = writeln!(
            svg,
            "<text transform=\"translate(13 {:.0}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(TOP, bottom),
            escaped(self.y.label)
        );
        for line in &self.lines {
            let color = COLORS[line.color % COLORS.len()];
            let path: Vec<String> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y))).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            // Many points are a curve; few are what was measured.
            for (x, y) in line.points.iter().filter(|_| line.points.len() <= 12) {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{color}\"/>",
                    at_x(*x),
                    at_y(*y)
                );
            }
        }
    }
}

/// What an axis spans.
struct Range {
    scale: Scale,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Range {
    /// With `exact`, a logarithmic axis has its ticks where the values are.
    fn of(scale: Scale, values: impl Iterator<Item = f64>, exact: bool) -> Self {
        let mut values: Vec<f64> =
            values.filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let (least, most) = (*values.first().unwrap_or(&1.0), *values.last().unwrap_or(&1.0));
        if scale == Scale::Linear {
            let step = round_step(most.max(f64::MIN_POSITIVE) / 5.0);
            let to = (most / step).ceil().max(1.0) * step;
            let ticks = (0..=(to / step).round() as u32).map(|number| f64::from(number) * step).collect();
            return Self { scale, from: 0.0, to, ticks };
        }
        if exact && values.len() <= 8 && least < most {
            return Self { scale, from: least, to: most, ticks: values };
        }
        let steps: Vec<f64> =
            (-4..9).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power))).collect();
        let from = steps.iter().copied().rfind(|step| *step <= least).unwrap_or(least);
        let to = steps.iter().copied().find(|step| *step >= most && *step > from).unwrap_or(most);
        let within: Vec<f64> = steps.into_iter().filter(|step| (from..=to).contains(step)).collect();
        // Of many, the powers of ten alone.
        let is_power = |value: &f64| (value.log10() - value.log10().round()).abs() < 1e-9;
        let ticks = if within.len() > 7 { within.into_iter().filter(is_power).collect() } else { within };
        Self { scale, from, to, ticks }
    }

    /// Where between the ends a value is.
    fn share(&self, value: f64) -> f64 {
        let place =
            |value: f64| if self.scale == Scale::Linear { value } else { value.max(self.from).log10() };
        let span = place(self.to) - place(self.from);
        if span > 0.0 { (place(value) - place(self.from)) / span } else { 0.5 }
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= least).unwrap_or(least)
}

/// A number on an axis.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e3 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text = format!("{value:.4}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(scale: Scale, points: &[(f64, f64)]) -> Panel {
        let axis = Axis { label: "requests < \"all\" & more", scale };
        let line = |name: &str, color| Line { name: name.to_owned(), color, points: points.to_vec() };
        let lines = vec![line("A & B", 0), line("<C>", 1)];
        Panel { title: "What < is & measured".to_owned(), x: axis, y: axis, lines }
    }

    #[test]
    fn plot_is_well_formed_whatever_it_shows() {
        let shown: [&[(f64, f64)]; 5] =
            [&[], &[(1.0, 0.0)], &[(1.0, 5.0), (64.0, 12_345.6)], &[(0.0, 0.0), (1.0, 0.001)], &[(1e6, 1e9)]];
        for points in shown {
            for scale in [Scale::Linear, Scale::Logarithmic] {
                let svg = render("a < b & c", &[panel(scale, points), panel(scale, points)]);
                let document = roxmltree::Document::parse(&svg).unwrap();
                let count =
                    |name: &str| document.descendants().filter(|node| node.has_tag_name(name)).count();
                assert_eq!(count("polyline"), 4, "{points:?}");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn higher_value_is_drawn_further_up() {
        let svg = render("t", &[panel(Scale::Logarithmic, &[(1.0, 10.0), (4.0, 1000.0)])]);
        let points = svg.split_once("points=\"").unwrap().1.split_once('"').unwrap().0;
        let ys: Vec<f64> =
            points.split(' ').map(|point| point.split_once(',').unwrap().1.parse().unwrap()).collect();
        assert!(ys[0] > ys[1] && ys[0] <= HEIGHT && ys[1] >= 0.0, "{ys:?}");
    }

    #[test]
    fn tick_is_short() {
        let ticks = [0.5, 1.0, 20.0, 1500.0, 1e6, 0.0].map(short);
        assert_eq!(ticks, ["0.5", "1", "20", "1.5k", "1M", "0"]);
    }
}
