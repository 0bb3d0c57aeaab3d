// proto/openapi.json, made from control.proto: `node deploy/check/openapi.mjs --write`; without it, compares and fails where they differ.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../setup/layout.mjs';

/** @typedef {{ name: string, jsonName: string, type: string, label: string, typeName?: string }} Field */
/** @typedef {{ name: string, field?: Field[], nestedType?: Message[] }} Message */
/** @typedef {{ name: string, inputType: string, outputType: string, serverStreaming?: boolean }} Method */
/** @typedef {{ path: number[], leadingComments?: string }} Location */
/** @typedef {{ name: string, package: string, messageType?: Message[], service?: { name: string, method: Method[] }[], sourceCodeInfo?: { location: Location[] } }} File */

const SERVICE = 'ControlService';
const FILE = join(ROOT, 'proto', 'openapi.json');
/** Of descriptor.proto: where messages, fields, services and methods are in a file. */
const [MESSAGES, SERVICES, FIELDS, METHODS] = [4, 6, 2, 2];

/** @returns {File[]} */
function descriptors() {
  const image = execFileSync(join(ROOT, 'node_modules', '.bin', 'buf'), ['build', '-o', '-#format=json'], { cwd: join(ROOT, 'proto'), maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(image.toString()).file;
}

/** @param {File[]} files */
function openapi(files) {
  const file = files.find(({ service }) => service?.some(({ name }) => name === SERVICE));
  const at = file?.service?.findIndex(({ name }) => name === SERVICE) ?? -1;
  const service = file?.service?.[at];
  if (file === undefined || service === undefined) throw new Error(`no proto file has ${SERVICE}`);
  /** @type {Record<string, object>} */
  const schemas = { Error: ERROR };
  const paths = Object.fromEntries(service.method.map((method, i) => {
    for (const type of [method.inputType, method.outputType]) addSchema(files, type, schemas);
    return [`/${file.package}.${SERVICE}/${method.name}`, { post: operation(method, commentOf(file, [SERVICES, at, METHODS, i])) }];
  }));
  return {
    openapi: '3.1.0',
    info: { title: 'Stemma gateway', version: 'v1', description: 'The gRPC service stemma.v1.ControlService as HTTP/JSON. 64-bit integers are strings.' },
    security: [{ key: [] }],
    paths,
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'A token of `stemma keys add`.' } }, schemas },
  };
}

const ERROR = {
  type: 'object', required: ['code', 'boundary', 'message', 'remedy', 'retriable'],
  properties: {
    code: { type: 'string' }, boundary: { type: 'string' }, message: { type: 'string' },
    remedy: { type: 'string', description: 'What to do next.' }, retriable: { type: 'boolean', description: 'The same request may succeed later.' },
  },
};

/** @param {Method} method @param {string} comment */
function operation(method, comment) {
  const media = method.serverStreaming ? 'application/x-ndjson' : 'application/json';
  return {
    operationId: method.name, ...(comment === '' ? {} : { description: comment }),
    requestBody: { required: true, content: { 'application/json': { schema: { $ref: ref(method.inputType) } } } },
    responses: {
      200: { description: method.serverStreaming ? 'One JSON message a line, without end.' : 'OK', content: { [media]: { schema: { $ref: ref(method.outputType) } } } },
      default: { description: 'Refused or failed.', content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } },
    },
  };
}

/** @param {string} type ".stemma.v1.Event" */
const nameOf = (type) => type.slice(type.lastIndexOf('.') + 1);
/** @param {string} type */
const ref = (type) => `#/components/schemas/${nameOf(type)}`;

/** @param {File[]} files @param {string} type @param {Record<string, object>} schemas */
function addSchema(files, type, schemas) {
  const name = nameOf(type);
  if (schemas[name] !== undefined) return;
  for (const file of files) {
    const at = file.messageType?.findIndex((message) => `.${file.package}.${message.name}` === type) ?? -1;
    const message = file.messageType?.[at];
    if (message === undefined) continue;
    schemas[name] = {};
    const properties = Object.fromEntries((message.field ?? []).map((field, i) => {
      if (field.type === 'TYPE_MESSAGE') addSchema(files, field.typeName ?? '', schemas);
      const comment = commentOf(file, [MESSAGES, at, FIELDS, i]);
      return [field.jsonName, { ...schemaOf(field), ...(comment === '' ? {} : { description: comment }) }];
    }));
    schemas[name] = { type: 'object', additionalProperties: false, properties };
  }
}

/** @param {Field} field */
function schemaOf(field) {
  const one = field.type === 'TYPE_MESSAGE' ? { $ref: ref(field.typeName ?? '') } : SCALARS[field.type] ?? {};
  return field.label === 'LABEL_REPEATED' ? { type: 'array', items: one } : one;
}

/** @type {Record<string, object>} */
const SCALARS = {
  TYPE_STRING: { type: 'string' }, TYPE_BOOL: { type: 'boolean' }, TYPE_DOUBLE: { type: 'number' }, TYPE_FLOAT: { type: 'number' },
  TYPE_BYTES: { type: 'string', contentEncoding: 'base64' }, TYPE_UINT64: { type: 'string', pattern: '^[0-9]+$' }, TYPE_INT64: { type: 'string', pattern: '^-?[0-9]+$' },
  TYPE_UINT32: { type: 'integer', minimum: 0, maximum: 4294967295 }, TYPE_INT32: { type: 'integer' },
};

/** @param {File} file @param {number[]} path */
function commentOf(file, path) {
  const found = file.sourceCodeInfo?.location.find((location) => location.path?.join() === path.join());
  return (found?.leadingComments ?? '').trim().replace(/\s*\n\s*/g, ' ');
}

const made = `${JSON.stringify(openapi(descriptors()), null, 1)}\n`;
if (process.argv.includes('--write')) writeFileSync(FILE, made);
else if (readFileSync(FILE, 'utf8') !== made) {
  console.error('proto/openapi.json is not what control.proto says now.\n→ node deploy/check/openapi.mjs --write');
  process.exitCode = 1;
}
