// Which of kernels/requirements.txt an image holds, as text that pip takes with --require-hashes, and what builds it.

/** For tests and for compiling. */
const NEVER = /^(pytest|iniconfig|pluggy)==/;
/** For GPUs. What PyTorch links against of these, stand_ins.py writes; CUDA's runtime is small and real: it says that there is no GPU. */
const FOR_GPUS = /^(setuptools|triton|cuda-[a-z]+|nvidia-(?!cuda-runtime==)[a-z0-9-]+)==/;
/** Writes protocol code while the image is built. */
const BUILD = /^(grpcio-tools|grpcio|protobuf|setuptools|typing-extensions)==/;

/** @param {string} pins a requirements file with hashes @returns {string[]} */
function entriesOf(pins) {
  return pins.split(/\n(?=[A-Za-z0-9])/).map((entry) => entry.trim()).filter((entry) => /^[A-Za-z0-9][\w.-]*==/.test(entry));
}

/** @param {string} pins kernels/requirements.txt @returns {{ image: string, build: string }} */
export function cpuPins(pins) {
  return split(entriesOf(pins), (entry) => !NEVER.test(entry) && !FOR_GPUS.test(entry) && !/^grpcio-tools==/.test(entry));
}

/** @param {string} pins kernels/requirements.txt @returns {{ image: string, build: string }} */
export function cudaPins(pins) {
  return split(entriesOf(pins), (entry) => !NEVER.test(entry) && !/^grpcio-tools==/.test(entry));
}

/** @param {string[]} entries @param {(entry: string) => boolean} kept */
function split(entries, kept) {
  return { image: `${entries.filter(kept).join('\n')}\n`, build: `${entries.filter((entry) => BUILD.test(entry)).join('\n')}\n` };
}
