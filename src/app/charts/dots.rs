//! Very many dots on a canvas, painted pixel by pixel: tens of thousands in a few milliseconds, where as many elements
//! would take seconds.

use wasm_bindgen::{Clamped, JsCast};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// A dot in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    pub x: f64,
    pub y: f64,
    pub radius: f64,
    /// How much of what is below it hides.
    pub opacity: f64,
}

/// Paints the dots in the canvas's own colour (CSS `color`), in place of what it showed.
///
/// None where the browser gives no canvas to paint on; the chart's axes and the list beside it remain.
pub fn paint(canvas: &HtmlCanvasElement, (width, height): (f64, f64), dots: impl Iterator<Item = Dot>) -> Option<()> {
    let window = web_sys::window()?;
    let density = window.device_pixel_ratio().clamp(1.0, 3.0);
    let (columns, rows) = ((width * density).ceil() as usize, (height * density).ceil() as usize);
    canvas.set_width(u32::try_from(columns).ok()?);
    canvas.set_height(u32::try_from(rows).ok()?);
    let mut cover = vec![0u8; columns * rows];
    for dot in dots {
        let scaled = Dot { x: dot.x * density, y: dot.y * density, radius: dot.radius * density, ..dot };
        stamp(&mut cover, (columns, rows), scaled);
    }
    let color = window.get_computed_style(canvas).ok()??.get_property_value("color").ok()?;
    let [red, green, blue] = rgb(&color)?;
    let pixels: Vec<u8> = cover.iter().flat_map(|&alpha| [red, green, blue, alpha]).collect();
    let image = ImageData::new_with_u8_clamped_array(Clamped(&pixels), u32::try_from(columns).ok()?).ok()?;
    let context: CanvasRenderingContext2d = canvas.get_context("2d").ok()??.dyn_into().ok()?;
    context.put_image_data(&image, 0.0, 0.0).ok()
}

/// Lays one dot over the others, its edge smoothed over a pixel.
fn stamp(cover: &mut [u8], (columns, rows): (usize, usize), dot: Dot) {
    let range = |middle: f64, end: usize| {
        let from = (middle - dot.radius - 1.0).floor().max(0.0) as usize;
        from..((middle + dot.radius + 2.0).ceil().max(0.0) as usize).min(end)
    };
    for row in range(dot.y, rows) {
        for column in range(dot.x, columns) {
            let (x, y) = (column as f64 + 0.5 - dot.x, row as f64 + 0.5 - dot.y);
            // one instruction; `hypot` would be a call that minds overflow
            let distance = (x * x + y * y).sqrt();
            let share = (dot.radius + 0.5 - distance).clamp(0.0, 1.0) * dot.opacity;
            let pixel = &mut cover[row * columns + column];
            *pixel += (f64::from(255 - *pixel) * share).round() as u8;
        }
    }
}

/// A computed colour's parts: `rgb(71, 112, 11)`.
fn rgb(color: &str) -> Option<[u8; 3]> {
    let inner = color.strip_prefix("rgb(").or_else(|| color.strip_prefix("rgba("))?;
    let mut parts = inner.trim_end_matches(')').split(',').map(|part| part.trim().parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}
