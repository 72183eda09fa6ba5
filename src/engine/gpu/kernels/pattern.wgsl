// Attention's weights: pattern [query, head, key] = softmax over the keys that a query sees; 0 for the others.
// A query's run has its first rows, up to its own first position, in `past`, and the rest in `own`; both hold rows of
// query, key and value side by side. A workgroup of 64 takes one head of one query.
// Groups: (queries, heads).

struct Params {
    d_model: u32,
    d_head: u32,
    // floats in a row of past and own
    stride: u32,
    // keys there is room for
    n_key: u32,
    scale: f32,
}

// by query: its row in own, its run's first row there, that row's position, its own position
@group(0) @binding(0) var<storage, read> queries: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> past: array<f32>;
@group(0) @binding(2) var<storage, read> own: array<f32>;
@group(0) @binding(3) var<storage, read_write> pattern: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

var<workgroup> query: array<f32, D_HEAD>;
var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let about = queries[group.x];
    let head = group.y * p.d_head;
    for (var i = thread; i < p.d_head; i += 64u) {
        query[i] = own[about.x * p.stride + head + i] * p.scale;
    }
    workgroupBarrier();
    let at = (group.x * groups.y + group.y) * p.n_key;
    var most = -3.0e38;
    for (var key = thread; key <= about.w; key += 64u) {
        var score = 0.0;
        if key < about.z {
            let start = key * p.stride + p.d_model + head;
            for (var i = 0u; i < p.d_head; i += 1u) {
                score += query[i] * past[start + i];
            }
        } else {
            let start = (about.y + key - about.z) * p.stride + p.d_model + head;
            for (var i = 0u; i < p.d_head; i += 1u) {
                score += query[i] * own[start + i];
            }
        }
        pattern[at + key] = score;
        most = max(most, score);
    }
    parts[thread] = most;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if thread < half {
            parts[thread] = max(parts[thread], parts[thread + half]);
        }
        workgroupBarrier();
    }
    most = parts[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var key = thread; key <= about.w; key += 64u) {
        let weight = exp(pattern[at + key] - most);
        pattern[at + key] = weight;
        sum += weight;
    }
    parts[thread] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if thread < half {
            parts[thread] += parts[thread + half];
        }
        workgroupBarrier();
    }
    let by = 1.0 / parts[0];
    for (var key = thread; key < p.n_key; key += 64u) {
        pattern[at + key] = select(0.0, pattern[at + key] * by, key <= about.w);
    }
}
