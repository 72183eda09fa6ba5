// Tries a regular expression on many texts, in a worker of its own: one that takes for ever is ended by the page.
onmessage = ({ data: [pattern, flags, bytes, ends] }) => {
  const expression = new RegExp(pattern, flags);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let start = 0;
  const fits = (end) => expression.test(decoder.decode(bytes.subarray(start, (start = end))));
  postMessage(Uint8Array.from(ends, fits));
};
