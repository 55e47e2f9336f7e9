// Call a function of a module of the page: its name, and a list of arguments, as JSON on standard input.
import { readFileSync } from "node:fs";

const { module, name, calls } = JSON.parse(readFileSync(0, "utf8"));
const found = await import(new URL(`../../cli/explorer/page/${module}`, import.meta.url));
process.stdout.write(JSON.stringify(calls.map((given) => found[name](...given))));
