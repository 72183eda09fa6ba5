//! Single vectors on the host: what is too small to be sent to a device.

/// The scalar product, summed in eight lanes.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    let mut lanes = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + a1.iter().zip(b1).map(|(a, b)| a * b).sum::<f32>()
}

pub fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

/// Takes the mean out: what the residual stream adds to all of its entries, LayerNorm takes out.
pub fn centre(values: &mut [f32]) {
    let mean = mean(values);
    values.iter_mut().for_each(|value| *value -= mean);
}

/// `ln(sum(exp(logits)))`
pub fn log_sum_exp(logits: &[f32]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    most + logits.iter().map(|logit| (logit - most).exp()).sum::<f32>().ln()
}
