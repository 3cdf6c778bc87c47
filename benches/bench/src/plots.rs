//! The two plots of the document, as SVG.

use anyhow::{Context as _, anyhow};
use plotters::prelude::*;

use crate::{
    lab::CurvePoint,
    sections::{IN_FLIGHT, concurrency_label},
    series::SeriesSet,
    statistics::median,
};

const SIZE: (u32, u32) = (760, 420);
/// Told apart by people who see few colours, too (Okabe and Ito).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

/// A line of a plot.
#[derive(Debug, PartialEq)]
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Debug)]
struct Plot<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    /// Whether steps to the right are factors.
    factors: bool,
    lines: Vec<Line>,
}

/// Latency against rate; nothing if that was not measured.
pub fn latency(curve: &[CurvePoint]) -> anyhow::Result<Option<String>> {
    let lines = latency_lines(curve);
    let title = "GetState at a fixed rate, 4 connections: p50 and p99";
    plot(Plot { title, x: "calls per second", y: "microseconds", factors: false, lines })
}

/// CPU per call against calls in flight; nothing if that was not measured.
pub fn concurrency(series: &SeriesSet) -> anyhow::Result<Option<String>> {
    let lines = concurrency_lines(series);
    let title = "CPU per call by calls in flight";
    plot(Plot { title, x: "calls in flight", y: "CPU microseconds per call", factors: true, lines })
}

fn latency_lines(curve: &[CurvePoint]) -> Vec<Line> {
    let mut subjects: Vec<&str> = Vec::new();
    for point in curve {
        if !subjects.contains(&point.subject.as_str()) {
            subjects.push(&point.subject);
        }
    }
    let line = |subject: &str, name: &str, of: fn(&CurvePoint) -> f64| {
        let points = curve.iter().filter(|point| point.subject == subject);
        let points = points.map(|point| (point.rate, of(point))).collect();
        Line { name: format!("{subject}, {name}"), points }
    };
    let both = |subject| {
        [line(subject, "p50", |point| point.p50_us), line(subject, "p99", |point| point.p99_us)]
    };
    subjects.into_iter().flat_map(both).collect()
}

fn concurrency_lines(series: &SeriesSet) -> Vec<Line> {
    let mut lines = Vec::new();
    for operation in ["GetState", "SaveState"] {
        for subject in ["plain", "outrigger"] {
            let point = |in_flight: u32| {
                let what = concurrency_label(operation, in_flight);
                let mut all = series.all().iter();
                let found = all.find(|series| series.subject == subject && series.what == what)?;
                Some((f64::from(in_flight), median(&found.cpu_us)))
            };
            let points: Vec<_> = IN_FLIGHT.into_iter().filter_map(point).collect();
            if points.len() == IN_FLIGHT.len() {
                lines.push(Line { name: format!("{operation}, {subject}"), points });
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
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area);
    chart.caption(plot.title, ("sans-serif", 18)).margin(12);
    chart.x_label_area_size(44).y_label_area_size(60);
    if plot.factors {
        let mut chart = chart.build_cartesian_2d((1.0..right * 1.1).log_scale(), 0.0..top * 1.1)?;
        chart.configure_mesh().x_desc(plot.x).y_desc(plot.y).light_line_style(WHITE).draw()?;
        lines(plot, &mut chart)?;
    } else {
        let mut chart = chart.build_cartesian_2d(0.0..right * 1.05, 0.0..top * 1.1)?;
        chart.configure_mesh().x_desc(plot.x).y_desc(plot.y).light_line_style(WHITE).draw()?;
        lines(plot, &mut chart)?;
    }
    area.present()?;
    Ok(())
}

type Chart<'a, X> =
    ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, plotters::coord::types::RangedCoordf64>>;

fn lines<X>(plot: &Plot<'_>, chart: &mut Chart<'_, X>) -> Result<(), Box<dyn std::error::Error>>
where
    X: Ranged<ValueType = f64>,
{
    for (index, line) in plot.lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let drawn = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(drawn.point_size(3))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
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
        assert_eq!(names, ["plain, p50", "plain, p99", "outrigger, p50", "outrigger, p99"]);
        assert_eq!(lines[0].points, [(10.0, 1.0), (20.0, 2.0)]);
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
