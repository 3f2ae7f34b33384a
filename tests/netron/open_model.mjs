// Opens models with Netron's own file detection and reader, and prints what it shows as JSON.
// node open_model.mjs FOLDER FILE...      FOLDER: the JavaScript files of Netron, as modules
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, ...files] = process.argv.slice(2);
const load = (id) => import(pathToFileURL(`${folder}/${id.replace('./', '')}.js`));
const base = await load('base');
const view = await load('view');

const plain = (value) => (typeof value === 'bigint' ? value.toString() : ArrayBuffer.isView(value) ? Array.from(value) : value);

const host = {
    type: 'test',
    require: load,
    environment: () => undefined,
    exception: (error) => { throw error; },
    event: () => {},
    async asset(file) { return readFileSync(`${folder}/${file}`, 'utf-8'); },
};
host.request = host.asset;

const describe = (model) => {
    const [graph] = model.modules;
    const argument = ({ name, value }) => ({ name, from: value.map((one) => one.name) });
    return {
        format: model.format,
        name: model.name,
        producer: model.producer,
        inputs: graph.inputs.map(({ name, value }) => ({ name, type: value[0].type ? value[0].type.toString() : null })),
        nodes: graph.nodes.map((node) => ({
            name: node.name,
            type: node.type.name,
            device: node.device || null,
            inputs: node.inputs.map(argument),
            fused: node.chain.map((one) => one.type.name),
            output: node.outputs[0].value[0].type ? node.outputs[0].value[0].type.toString() : null,
            attributes: Object.fromEntries(node.attributes.map(({ name, value, type }) => [name, [type, plain(value)]])),
        })),
        initializers: graph.nodes.flatMap((node) => node.inputs).flatMap(({ value }) => value)
            .filter((value) => value.initializer)
            .map((value) => ({ name: value.name, type: value.type.toString(), bytes: value.initializer.values.length })),
    };
};

const answers = [];
for (const file of files) {
    const stream = new base.BinaryStream(new Uint8Array(readFileSync(file)));
    const context = { identifier: basename(file), stream, entries: new Map(), require: load, asset: host.asset, error: host.exception };
    const service = new view.ModelFactoryService(host);
    try {
        answers.push(describe(await service.open(context)));
    } catch (error) {
        answers.push({ error: error.message });
    }
}
console.log(JSON.stringify(answers, (key, value) => plain(value)));
