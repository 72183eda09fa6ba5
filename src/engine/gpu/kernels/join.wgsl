// Rows of runs that begin here: the base's residual stream, changed by what their edits changed before.
// table: by row (row of the base, kind, first value, values, first row of weights), 8 words each; then the values.
// kind 0: as the base; 1: the values instead; 2: the values added; 3: the values times as many rows of weights added;
// 4: as 3, of what neurons made of the values before, which come first, and now make of those after them.
// A workgroup of 64 takes a row. Groups: (rows, 1).

struct Params {
    d4: u32,
    // where the values begin in the table, in fours
    values: u32,
    // where in out the first row goes
    out_row: u32,
}

@group(0) @binding(0) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> base: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<Weights>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> p: Params;

// Activations at four rows of weights.
fn by(kind: u32, first: u32, values: u32, four: u32) -> vec4<f32> {
    let at = p.values + first + four;
    if kind == 3u {
        return bitcast<vec4<f32>>(table[at]);
    }
    return activate(bitcast<vec4<f32>>(table[at + (values + 3u) / 4u])) - activate(bitcast<vec4<f32>>(table[at]));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let about = table[2u * group.x];
    let first = table[2u * group.x + 1u].x;
    for (var four = thread; four < p.d4; four += 64u) {
        var value = base[about.x * p.d4 + four];
        switch about.y {
            case 1u: { value = bitcast<vec4<f32>>(table[p.values + about.z + four]); }
            case 2u: { value += bitcast<vec4<f32>>(table[p.values + about.z + four]); }
            case 3u, 4u: {
                var sum = vec4<f32>(0.0);
                var four_of = vec4<f32>(0.0);
                for (var i = 0u; i < about.w; i += 1u) {
                    if i % 4u == 0u {
                        four_of = by(about.y, about.z, about.w, i / 4u);
                    }
                    let by_this = four_of[i % 4u];
                    if by_this != 0.0 {
                        sum += by_this * widen(weights[(first + i) * p.d4 + four]);
                    }
                }
                value += sum * LOWER;
            }
            default: {}
        }
        out[(p.out_row + group.x) * p.d4 + four] = value;
    }
}
