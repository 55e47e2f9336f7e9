// Prepare pictures as the page does: a JSON list on standard input, a JSON list of what the encoder sees out.
import { readFileSync } from "node:fs";

const { prepare } = await import(new URL("../../cli/explorer/page/prepare.js", import.meta.url));
const { pictures, image } = JSON.parse(readFileSync(0, "utf8"));
const seen = pictures.map(({ width, height, channels, data }) =>
  Buffer.from(prepare({ width, height, channels, data: Buffer.from(data, "base64") }, image)).toString("base64"),
);
process.stdout.write(JSON.stringify(seen));
