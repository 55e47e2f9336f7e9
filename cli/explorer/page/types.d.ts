/** Types that the modules of the page share; read by the type checker alone. */

export interface ImageSpec {
  size: number;
  channels: number;
  low: number;
  high: number;
  preprocessing?: Preprocessing;
}

/** How a foreground object is scaled and centred; a bundle without one pads and resizes. */
export interface Preprocessing {
  box: number;
  centre: "mass" | "box";
  ink: "light" | "dark";
  stroke: number;
}

/** The parts of a bundle's metadata.json that the page uses. */
export interface Metadata {
  bundle_id: string;
  tool_version: string;
  latent: { noise: number; noise_prior: string; categorical: number[]; continuous: number };
  image: ImageSpec;
  labels: Record<string, (string | null)[]>;
  style_names: Record<string, string | null>;
  graphs: Record<string, { sha256: string; bytes: number }>;
  ood?: { threshold: number };
  card: Record<string, any>;
  training: Record<string, any>;
}

export interface BundleInfo {
  name: string;
  pretrained: boolean;
  noise_count: number;
  /** Images of one request, at most. */
  max_images: number;
  codes: { categorical: string[]; continuous: string[] };
  metadata: Metadata;
}

export interface Model {
  inference: "server" | "browser";
  noise_seed: number;
  bundles: BundleInfo[];
}

/** The codes of one image; `noise` is the number of its noise vector. */
export interface Codes {
  categories: number[];
  styles: number[];
  noise: number;
}

/** Q(c|x) of one image. */
export interface Posterior {
  probabilities: number[][];
  mean: number[];
  std: number[];
  /** Out of distribution; null where the bundle has no OOD score. */
  ood: boolean | null;
  /** The encoder's input: uint8 (H, W, C). */
  preprocessed: Uint8Array;
}

/** An image for the encoder: a file, what is drawn on the canvas, or an image that is preprocessed already. */
export type InputImage =
  | { kind: "file"; file: Blob }
  | { kind: "drawing"; width: number; height: number; pixels: Uint8Array }
  | { kind: "preprocessed"; pixels: Uint8Array };

/** What runs the graphs: the server, or the browser. */
export interface Backend {
  encode(bundle: number, image: InputImage): Promise<Posterior>;
  /** Generate uint8 (N, H, W, C); rows are noise, categories, styles. */
  generate(bundle: number, rows: Float32Array): Promise<Uint8Array>;
  /** The noise vectors of a bundle, (noise_count, Z). */
  noise(bundle: number): Promise<Float32Array>;
}
