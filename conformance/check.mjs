// Checks messages against every version of DoseQR's contract that was ever released; needs ajv (npm install).
//
// node check.mjs MESSAGE.json ...     each file holds a message, as it travels
// node check.mjs --lines FILE         a message on each line; - for standard input
// node check.mjs --print TYPE         print the valid examples of a type, a line each, to feed a consumer
// node check.mjs --examples           check the examples themselves
//
// Exit code 0: all fit; 1: some do not; 2: wrong usage.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";

const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), "messages");
const ajv = new Ajv2020({ strict: false, validateFormats: false });

function contract(kind) {
  const file = path.join(FOLDER, `${kind}.json`);
  if (path.dirname(file) !== FOLDER || !existsSync(file)) return null;
  return JSON.parse(readFileSync(file, "utf8"));
}

function validator(kind) {
  const known = ajv.getSchema(kind);
  if (known) return known;
  const found = contract(kind);
  return found && ajv.compile(found.schema);
}

function problems(message) {
  const kind = message?.type;
  if (typeof kind !== "string" || !kind) return ["it is no object with a type"];
  const fits = validator(kind);
  if (!fits) return [`${kind} is no type of message`];
  if (fits(message)) return [];
  return fits.errors.map((error) => `${error.instancePath.slice(1).replaceAll("/", ".") || "message"}: ${error.message}`);
}

function check(named) {
  let code = 0;
  for (const [name, text] of named) {
    let found;
    let kind = "";
    try {
      const message = JSON.parse(text);
      found = problems(message);
      if (found.length === 0) kind = message.type;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      found = [`it is no JSON: ${error.message}`];
    }
    console.log(`${name}: ${found.length === 0 ? `fits ${kind}` : "does not fit"}`);
    for (const problem of found) console.log(`  ${problem}`);
    if (found.length > 0) code = 1;
  }
  return code;
}

function checkExamples() {
  let code = 0;
  for (const file of readdirSync(FOLDER).sort()) {
    const found = contract(path.basename(file, ".json"));
    const fits = ajv.compile(found.schema);
    const valid = Object.entries(found.valid);
    const invalid = Object.entries(found.invalid);
    const wrong = [...valid.filter(([, message]) => !fits(message)), ...invalid.filter(([, message]) => fits(message))];
    console.log(`${found.type}: ${valid.length} valid, ${invalid.length} invalid`);
    for (const [name] of wrong) console.log(`  wrong: ${name}`);
    if (wrong.length > 0) code = 1;
  }
  return code;
}

function linesOf(name) {
  const lines = readFileSync(name === "-" ? 0 : name, "utf8").split("\n");
  return lines.map((line, place) => [`line ${place + 1}`, line]).filter(([, line]) => line.trim());
}

function main(given) {
  const [first, second] = given;
  if (first === "--examples" && given.length === 1) return checkExamples();
  if (first === "--print" && given.length === 2 && contract(second)) {
    for (const message of Object.values(contract(second).valid)) console.log(JSON.stringify(message));
    return 0;
  }
  if (first === "--lines" && given.length === 2) return check(linesOf(second));
  if (first && !first.startsWith("-")) return check(given.map((name) => [name, readFileSync(name, "utf8")]));
  console.error("usage: node check.mjs MESSAGE.json ... | --lines FILE | --print TYPE | --examples");
  return 2;
}

process.exitCode = main(process.argv.slice(2));
