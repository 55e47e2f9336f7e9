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
  latent: { noise: number; noise_prior: string; categorical: number[]; continuous: number; periodic?: string[] };
  image: ImageSpec;
  labels: Record<string, (string | null)[]>;
  style_names: Record<string, string | null>;
  graphs: Record<string, { sha256: string; bytes: number }>;
  ood?: { threshold: number };
  /** Images that the bundle carries: examples.png, side by side. */
  examples?: { count: number };
  card: Record<string, any>;
  training: Record<string, any>;
}

export interface BundleInfo {
  name: string;
  pretrained: boolean;
  /** Whether the server accepts names for this bundle. */
  nameable?: boolean;
  noise_count: number;
  /** Images of one request, at most. */
  max_images: number;
  codes: { categorical: string[]; continuous: string[] };
  metadata: Metadata;
}

export interface Model {
  inference: "server" | "browser";
  /** Seed of the noise; null for a bundle that was dropped on the page. */
  noise_seed: number | null;
  bundles: BundleInfo[];
  /** Of a bundle that was dropped on the page: the file of the example images that it carries. */
  dropped?: { examples: Blob | null };
  /** Whether there are images of a folder: data.json and data.bin. */
  data?: boolean;
}

/** The codes of the images of a folder; see `data_set.py`. */
export interface DataTable {
  total: number;
  names: string[];
  categories: number[][];
  confidence: number[];
  styles: number[][];
  distance: number[] | null;
  ood: boolean[] | null;
  error: number[];
}

/** Names that were typed; an empty text removes one. */
export interface Names {
  categories: Record<string, Record<number, string>>;
  styles: Record<string, string>;
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
  | { kind: "preprocessed"; size: number; channels: number; preprocessing?: Preprocessing; pixels: Uint8Array };

/** What runs the graphs: the server, or the browser. */
export interface Backend {
  encode(bundle: number, image: InputImage): Promise<Posterior>;
  /** Generate uint8 (N, H, W, C); rows are noise, categories, styles. */
  generate(bundle: number, rows: Float32Array): Promise<Uint8Array>;
  /** Write names into a bundle; only where the server accepts them. */
  saveNames?(bundle: number, names: Names): Promise<void>;
  /** The noise vectors of a bundle, (noise_count, Z). */
  noise(bundle: number): Promise<Float32Array>;
}

/** The curves of one stage of a run; null where a value is missing. */
export interface StageLog {
  name: string;
  steps: number;
  first_step: number;
  has_epochs: boolean;
  epochs: (number | null)[];
  scalars: Record<string, (number | null)[]>;
  images_per_second: number | null;
}

/** A run, as run.json describes it. */
export interface Run {
  name: string;
  /** The run folder as it was given, quoted for a shell. */
  path: string;
  preset: string;
  data: string;
  images: number | null;
  size: number | null;
  device: string;
  /** All stages in order with their numbers of steps; empty where these are not known. */
  plan: [string, number][];
  /** Whether the last stage has done all its steps. */
  finished: boolean;
  codes: { name: string; entropy: number }[];
  layout: {
    code: string;
    /** Values of a continuous code in the first and the last column. */
    ends: [number, number] | null;
    row_code: string | null;
    /** Codes of the rows of a sheet of codes, and the images in each. */
    code_rows: { code: string; count: number }[];
    left_out: number;
  } | null;
  /** Step and epoch of each sheet. */
  sheets: [number, number | null][];
  code_sheets: number[];
  checkpoints: number[];
  stages: StageLog[];
  generator_stage: number | null;
  unread: number;
  /** Seconds since the last line of the metrics. */
  age: number | null;
}

/** What one code changes along its row of the sheet of codes. */
export interface Effect {
  code: string;
  /** Root mean square change of a pixel, as a share of the range from black to white. */
  strength: number;
  /** Attributes that follow the code, and their correlations. */
  attributes?: [string, number][];
}
