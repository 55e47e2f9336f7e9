/** What the modules of the page hand to each other; read by the type checker alone. */

export interface ImageSpec {
  size: number;
  channels: number;
  low: number;
  high: number;
  preprocessing?: Preprocessing;
}

/** How a figure is laid out; a bundle without one pads and resizes. */
export interface Preprocessing {
  kind: string;
  box: number;
  centre: "mass" | "box";
  ink: "light" | "dark";
  stroke: number;
}

export interface Metadata {
  schema_version: number;
  bundle_id: string;
  tool_version: string;
  opset: number;
  latent: { noise: number; noise_prior: string; categorical: number[]; continuous: number };
  image: ImageSpec;
  labels: Record<string, (string | null)[]>;
  style_names: Record<string, string | null>;
  graphs: Record<string, { sha256: string; bytes: number }>;
  versions: Record<string, string>;
  ood?: { threshold: number };
  card: Record<string, any>;
  parity: Record<string, any>;
  training: Record<string, any>;
}

export interface BundleInfo {
  name: string;
  shipped: boolean;
  noises: number;
  /** Pictures that may be asked for at once. */
  most_pictures: number;
  codes: { categorical: string[]; continuous: string[] };
  metadata: Metadata;
}

export interface Model {
  inference: "server" | "browser";
  tool_version: string;
  noise_seed: number;
  bundles: BundleInfo[];
}

/** The codes of one picture; `noise` is the number of its noise vector. */
export interface Codes {
  categories: number[];
  styles: number[];
  noise: number;
}

/** Q(c|x) of one picture. */
export interface Reading {
  probabilities: number[][];
  mean: number[];
  std: number[];
  /** Whether the picture is out of distribution; null where the bundle has no OOD output. */
  ood: boolean | null;
  /** What the encoder was given: uint8 (H, W, C). */
  seen: Uint8Array;
}

/** A picture on its way to an encoder. */
export type Picture =
  | { kind: "file"; file: Blob }
  | { kind: "grey"; width: number; height: number; pixels: Uint8Array }
  | { kind: "seen"; pixels: Uint8Array };

/** Who runs the graphs. */
export interface Backend {
  /** Recover the codes of a picture. */
  read(bundle: number, picture: Picture): Promise<Reading>;
  /** Draw uint8 (N, H, W, C); rows are noise, categories, styles. */
  draw(bundle: number, rows: Float32Array): Promise<Uint8Array>;
  /** The noise vectors of a bundle, (noises, Z). */
  noise(bundle: number): Promise<Float32Array>;
}
