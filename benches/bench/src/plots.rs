//! The two plots of the document, as SVG.

use anyhow::{Context as _, anyhow};
use plotters::{coord::ranged1d::ValueFormatter, prelude::*};

use crate::{
    lab::{CurvePoint, DAPRD, ECHO, OUTRIGGER, PLAIN},
    sections::{IN_FLIGHT, concurrency_label},
    series::SeriesSet,
    statistics::median,
};

const SIZE: (u32, u32) = (760, 420);
/// Told apart by people who see few colours, too (Okabe and Ito).
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

/// The subjects in the order of their colours.
const SUBJECTS: [&str; 4] = [OUTRIGGER, PLAIN, ECHO, DAPRD];

/// A line of a plot: a subject has a colour, what is told of it a width.
#[derive(Debug, PartialEq)]
struct Line {
    name: String,
    colour: usize,
    width: u32,
    points: Vec<(f64, f64)>,
}

const THIN: u32 = 1;
const THICK: u32 = 3;

/// A plot.
#[derive(Debug)]
struct Plot<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    /// Which axis has steps that are factors.
    factors: Axis,
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    X,
    Y,
}

/// Latency against rate; nothing if that was not measured.
pub fn latency(curve: &[CurvePoint]) -> anyhow::Result<Option<String>> {
    let lines = latency_lines(curve);
    let title = "GetState at a fixed rate, 4 connections: p50 and p99";
    plot(Plot { title, x: "calls per second", y: "microseconds", factors: Axis::Y, lines })
}

/// CPU per call against calls in flight; nothing if that was not measured.
pub fn concurrency(series: &SeriesSet) -> anyhow::Result<Option<String>> {
    let lines = concurrency_lines(series);
    let title = "CPU per call by calls in flight";
    plot(Plot {
        title,
        x: "calls in flight",
        y: "CPU microseconds per call",
        factors: Axis::X,
        lines,
    })
}

fn latency_lines(curve: &[CurvePoint]) -> Vec<Line> {
    let line = |colour: usize, (name, width): (&str, u32), of: fn(&CurvePoint) -> f64| {
        let subject = SUBJECTS[colour];
        let points = curve.iter().filter(|point| point.subject == subject);
        let points = points.map(|point| (point.rate, of(point))).collect();
        Line { name: format!("{subject}, {name}"), colour, width, points }
    };
    let both = |colour| {
        let p50 = line(colour, ("p50", THIN), |point| point.p50_us);
        [p50, line(colour, ("p99", THICK), |point| point.p99_us)]
    };
    let measured = |line: &Line| !line.points.is_empty();
    (0..SUBJECTS.len()).flat_map(both).filter(measured).collect()
}

fn concurrency_lines(series: &SeriesSet) -> Vec<Line> {
    let mut lines = Vec::new();
    for (operation, width) in [("GetState", THIN), ("SaveState", THICK)] {
        for (colour, subject) in SUBJECTS[..2].iter().enumerate() {
            let point = |in_flight: u32| {
                let what = concurrency_label(operation, in_flight);
                let mut all = series.all().iter();
                let found = all.find(|series| series.subject == *subject && series.what == what)?;
                Some((f64::from(in_flight), median(&found.cpu_us)))
            };
            let points: Vec<_> = IN_FLIGHT.into_iter().filter_map(point).collect();
            if points.len() == IN_FLIGHT.len() {
                let name = format!("{operation}, {subject}");
                lines.push(Line { name, colour, width, points });
            }
        }
    }
    lines
}

fn plot(plot: Plot<'_>) -> anyhow::Result<Option<String>> {
    if plot.lines.iter().all(|line| line.points.is_empty()) {
        return Ok(None);
    }
    let mut svg = String::new();
    draw(&plot, &mut svg).map_err(|error| anyhow!("{error}")).context("drawing a plot")?;
    Ok(Some(svg))
}

fn draw(plot: &Plot<'_>, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let points = || plot.lines.iter().flat_map(|line| &line.points);
    let right = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let top = points().map(|(_, y)| *y).fold(1.0, f64::max);
    let bottom = points().map(|(_, y)| *y).fold(top, f64::min).max(1.0);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area);
    chart.caption(plot.title, ("sans-serif", 18)).margin(12);
    chart.x_label_area_size(44).y_label_area_size(60);
    match plot.factors {
        Axis::X => {
            let x = (1.0..right * 1.1).log_scale();
            lines(plot, &mut chart.build_cartesian_2d(x, 0.0..top * 1.1)?)?;
        }
        Axis::Y => {
            let y = (bottom * 0.8..top * 1.5).log_scale();
            lines(plot, &mut chart.build_cartesian_2d(0.0..right * 1.05, y)?)?;
        }
    }
    area.present()?;
    Ok(())
}

type Chart<'a, X, Y> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>;

fn lines<X, Y>(
    plot: &Plot<'_>,
    chart: &mut Chart<'_, X, Y>,
) -> Result<(), Box<dyn std::error::Error>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let whole = |value: &f64| format!("{value:.0}");
    let mut mesh = chart.configure_mesh();
    mesh.x_label_formatter(&whole).y_label_formatter(&whole);
    mesh.x_desc(plot.x).y_desc(plot.y).light_line_style(WHITE).draw()?;
    for line in &plot.lines {
        let colour = COLOURS[line.colour];
        let width = line.width;
        let drawn = LineSeries::new(line.points.iter().copied(), colour.stroke_width(width));
        chart.draw_series(drawn.point_size(3))?.label(&line.name).legend(move |(x, y)| {
            PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width))
        });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Series;

    #[test]
    fn each_subject_has_a_line_for_the_median_and_one_for_the_slow_calls() {
        let point = |subject: &str, rate: f64| CurvePoint {
            subject: subject.to_owned(),
            rate,
            p50_us: rate / 10.0,
            p99_us: rate,
        };
        let curve = [point("plain", 10.0), point("outrigger", 10.0), point("plain", 20.0)];
        let lines = latency_lines(&curve);
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["outrigger, p50", "outrigger, p99", "plain, p50", "plain, p99"]);
        assert_eq!(lines[2].points, [(10.0, 1.0), (20.0, 2.0)]);
        let svg = latency(&curve).expect("it can be drawn").expect("there is something");
        assert!(svg.starts_with("<svg") && svg.contains("outrigger, p99"), "{svg}");
        assert_eq!(latency(&[]).expect("nothing to draw"), None);
    }

    #[test]
    fn cpu_is_shown_where_every_concurrency_was_measured() {
        let mut set = SeriesSet::default();
        let add = |set: &mut SeriesSet, subject: &str, in_flight| {
            set.add(Series {
                subject: subject.to_owned(),
                what: concurrency_label("GetState", in_flight),
                cpu_us: vec![9.0, 10.0, 11.0],
                ..Series::default()
            });
        };
        IN_FLIGHT.into_iter().for_each(|in_flight| add(&mut set, "plain", in_flight));
        add(&mut set, "outrigger", 64);
        let lines = concurrency_lines(&set);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].points.first(), Some(&(1.0, 10.0)));
        let svg = concurrency(&set).expect("it can be drawn").expect("there is something");
        assert!(svg.contains("GetState, plain"), "{svg}");
    }
}
