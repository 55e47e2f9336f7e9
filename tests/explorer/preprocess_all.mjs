// Preprocess images as the static site does: JSON on standard input, a JSON list of the encoder's inputs out.
import { readFileSync } from "node:fs";

const { preprocess } = await import(new URL("../../cli/explorer/page/preprocessing.js", import.meta.url));
const { images, image } = JSON.parse(readFileSync(0, "utf8"));
const found = images.map(({ data, ...shape }) => preprocess({ ...shape, data: Buffer.from(data, "base64") }, image));
process.stdout.write(JSON.stringify(found.map((one) => one && Buffer.from(one).toString("base64"))));
