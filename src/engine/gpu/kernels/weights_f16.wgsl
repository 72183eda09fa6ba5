// Four neighbouring weights, held in f16 and lifted (src/model/f16_bits.rs).
alias Weights = vec2<u32>;

fn widen(weights: Weights) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(weights.x), unpack2x16float(weights.y));
}

// What sums of products with weights are multiplied with: 1 / LIFT.
const LOWER = 0.0009765625;
