"""GLSL of the renderer, in one place."""

SOLID_VERTEX = """
#version 330
uniform mat4 clip_from_world;
uniform mat4 shadow_from_world;
uniform vec3 eye;
in vec3 in_position; in vec3 in_normal; in vec2 in_uv; in float in_layer; in vec3 in_tint;
out vec3 world; out vec3 normal; out vec2 uv; flat out float layer; out vec3 tint;
out vec3 in_shadow_map;
void main() {
    gl_Position = clip_from_world * vec4(in_position, 1.0);
    world = in_position; normal = in_normal; uv = in_uv; layer = in_layer; tint = in_tint;
    in_shadow_map = (shadow_from_world * vec4(in_position, 1.0)).xyz * 0.5 + 0.5;
}
"""

# Colours are squared before lighting and rooted after it: a cheap stand-in for sRGB both ways.
SOLID_FRAGMENT = """
#version 330
uniform sampler2D ground; uniform sampler2DArray atlas; uniform sampler2DShadow shadow_map;
uniform vec3 sun; uniform vec3 sun_rgb; uniform vec3 sky_rgb; uniform vec3 eye;
uniform float haze_per_m; uniform float exposure;
in vec3 world; in vec3 normal; in vec2 uv; flat in float layer; in vec3 tint; in vec3 in_shadow_map;
out vec4 colour;
void main() {
    vec3 base; float water = 0.0; vec3 n = normalize(normal);
    vec3 to_eye = eye - world; float distance_m = length(to_eye); to_eye /= distance_m;
    if (layer < -0.5) {
        vec4 texel = texture(ground, uv);
        float fine = texture(atlas, vec3(world.xy * 0.23, 0.0)).r
                   + texture(atlas, vec3(world.yx * 0.071, 0.0)).r;
        water = 1.0 - texel.a;
        base = texel.rgb * mix(1.0 + 0.55 * (fine - 1.69), 1.0, 0.7 * water);
    } else {
        base = texture(atlas, vec3(uv, layer)).rgb * tint;
    }
    if (dot(n, to_eye) < 0.0) n = -n;
    float lit = texture(shadow_map, in_shadow_map - vec3(0.0, 0.0, 0.0007));
    float facing = max(dot(n, sun), 0.0);
    vec3 light = sky_rgb * (0.62 + 0.38 * n.z) + sun_rgb * facing * lit;
    vec3 c = base * base * light;
    if (water > 0.01) {
        float ripple = texture(atlas, vec3(world.xy * 0.11, 0.0)).r
                     - texture(atlas, vec3(world.yx * 0.137, 0.0)).r;
        vec3 wave = normalize(vec3(ripple * 0.5, ripple * 0.35, 1.0));
        float fresnel = 0.03 + 0.5 * pow(1.0 - max(dot(wave, to_eye), 0.0), 4.0);
        vec3 glint = sun_rgb * lit * pow(max(dot(reflect(-sun, wave), to_eye), 0.0), 60.0) * 0.22;
        c = mix(c, mix(c, sky_rgb * 1.3, fresnel) + glint, water);
    }
    c = mix(c, vec3(0.62, 0.66, 0.7), 1.0 - exp(-distance_m * haze_per_m));
    c = mix(vec3(dot(c, vec3(0.3, 0.59, 0.11))), c, 0.84);
    colour = vec4(sqrt(clip_c(c * exposure)), 1.0);
}
""".replace("clip_c(c * exposure)", "clamp(c * exposure, 0.0, 1.0)")

DEPTH_VERTEX = """
#version 330
uniform mat4 clip_from_world;
in vec3 in_position;
void main() { gl_Position = clip_from_world * vec4(in_position, 1.0); }
"""

DEPTH_FRAGMENT = """
#version 330
void main() {}
"""

PUFF_VERTEX = """
#version 330
uniform mat4 clip_from_world; uniform vec3 right; uniform vec3 down;
in vec3 in_centre; in float in_radius; in float in_opacity; in vec3 in_rgb; in float in_turn;
out vec2 spot; out float opacity; out vec3 rgb; flat out float turn;
void main() {
    spot = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    vec3 at = in_centre + (right * spot.x + down * spot.y) * in_radius * 1.35;
    gl_Position = clip_from_world * vec4(at, 1.0);
    opacity = in_opacity; rgb = in_rgb; turn = in_turn;
}
"""

PUFF_FRAGMENT = """
#version 330
uniform sampler2DArray atlas; uniform float exposure;
in vec2 spot; in float opacity; in vec3 rgb; flat in float turn;
out vec4 colour;
void main() {
    float lumps = texture(atlas, vec3(spot * 0.16 + turn * vec2(0.37, 0.71), 11.0)).r;
    float inside = clamp(1.0 - dot(spot, spot), 0.0, 1.0);
    float a = opacity * smoothstep(0.12, 0.8, inside * (0.45 + 1.1 * lumps));
    vec3 shade = rgb * (0.9 - 0.14 * spot.y + 0.45 * (lumps - 0.5));
    colour = vec4(sqrt(clamp(shade * shade * exposure, 0.0, 1.0)), a);
}
"""
