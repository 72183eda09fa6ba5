// What neurons do with what they read, and its derivative; ACTIVATION says which (src/engine/gpu/kernels/activation.rs).

// e^x of what may be larger than f32 holds: WGSL promises nothing of infinities.
fn exp_within(x: vec4<f32>) -> vec4<f32> {
    return exp(clamp(x, vec4<f32>(-87.0), vec4<f32>(87.0)));
}

fn logistic(x: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp_within(-x));
}

// 0.5 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
fn gate(x: vec4<f32>) -> vec4<f32> {
    return logistic(1.5957691216 * (x + 0.044715 * x * x * x));
}

// 0.5 (1 + erf(x / sqrt(2))), by Abramowitz and Stegun's 7.1.26: within 8e-8.
fn below(x: vec4<f32>) -> vec4<f32> {
    let at = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * at);
    let series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    let tail = 0.5 * series * exp_within(-at * at);
    return select(1.0 - tail, tail, x < vec4<f32>(0.0));
}

fn above_0(x: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), x > vec4<f32>(0.0));
}

fn activate(x: vec4<f32>) -> vec4<f32> {
    switch ACTIVATION {
        case 1u: { return x * gate(x); }
        case 2u: { return x * below(x); }
        case 3u: { return min(x * below(x), vec4<f32>(10.0)); }
        case 4u: { return x * logistic(1.702 * x); }
        case 5u: { return max(x, vec4<f32>(0.0)); }
        case 6u: { return x * logistic(x); }
        case 7u: { return 2.0 * logistic(2.0 * x) - 1.0; }
        default: { return x; }
    }
}

fn slope(x: vec4<f32>) -> vec4<f32> {
    let density = 0.3989422804 * exp_within(-0.5 * x * x);
    switch ACTIVATION {
        case 1u: {
            let g = gate(x);
            return g + x * g * (1.0 - g) * 1.5957691216 * (1.0 + 3.0 * 0.044715 * x * x);
        }
        case 2u: { return below(x) + x * density; }
        case 3u: { return (below(x) + x * density) * above_0(10.0 - x * below(x)); }
        case 4u: {
            let g = logistic(1.702 * x);
            return g + 1.702 * x * g * (1.0 - g);
        }
        case 5u: { return above_0(x); }
        case 6u: {
            let g = logistic(x);
            return g + x * g * (1.0 - g);
        }
        case 7u: {
            let tanh = 2.0 * logistic(2.0 * x) - 1.0;
            return 1.0 - tanh * tanh;
        }
        default: { return vec4<f32>(1.0); }
    }
}
