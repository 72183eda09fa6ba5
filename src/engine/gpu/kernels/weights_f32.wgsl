// Four neighbouring weights, held in f32.
alias Weights = vec4<f32>;

fn widen(weights: Weights) -> vec4<f32> {
    return weights;
}

// What sums of products with weights are multiplied with.
const LOWER = 1.0;
