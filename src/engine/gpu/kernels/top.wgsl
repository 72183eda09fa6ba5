// What a row of logits comes to: found [row] = (logarithm of the sum of e^logit, logit of the row's target, then the k
// largest, each as logit and token, floats by their bits; of equals the smaller token first). A workgroup of 256 takes a row. Groups: (rows, 1).

struct Params {
    vocab: u32,
    stride: u32,
    k: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<u32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> values: array<f32, 256>;
var<workgroup> tokens: array<u32, 256>;

// Whether one entry stands before another.
fn is_before(value: f32, token: u32, other: f32, other_token: u32) -> bool {
    return value > other || (value == other && token < other_token);
}

// Leaves the first of all threads' entries at place 0.
fn first_of_all(thread: u32) {
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if thread < half {
            let other = thread + half;
            if is_before(values[other], tokens[other], values[thread], tokens[thread]) {
                values[thread] = values[other];
                tokens[thread] = tokens[other];
            }
        }
        workgroupBarrier();
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let at = group.x * p.stride;
    let to = group.x * (2u + 2u * p.k);
    var largest = 3.4e38;
    var last = 0u;
    var most = 0.0;
    // one more than is wanted at k = 0: the sum needs the largest
    for (var place = 0u; place < max(p.k, 1u); place += 1u) {
        var value = -3.4e38;
        var token = 0xffffffffu;
        for (var id = thread; id < p.vocab; id += 256u) {
            let logit = logits[at + id];
            let is_left = place == 0u || is_before(largest, last, logit, id);
            if is_left && is_before(logit, id, value, token) {
                value = logit;
                token = id;
            }
        }
        values[thread] = value;
        tokens[thread] = token;
        first_of_all(thread);
        largest = values[0];
        last = tokens[0];
        workgroupBarrier();
        if place == 0u {
            most = largest;
        }
        if thread == 0u && place < p.k {
            found[to + 2u + 2u * place] = bitcast<u32>(largest);
            found[to + 3u + 2u * place] = last;
        }
    }
    var sum = 0.0;
    for (var id = thread; id < p.vocab; id += 256u) {
        sum += exp(logits[at + id] - most);
    }
    values[thread] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if thread < half {
            values[thread] += values[thread + half];
        }
        workgroupBarrier();
    }
    if thread == 0u {
        found[to] = bitcast<u32>(log(values[0]) + most);
        found[to + 1u] = bitcast<u32>(logits[at + targets[group.x]]);
    }
}
