document.querySelectorAll('pre').forEach((pre) => {
  const button = document.createElement('button');
  button.textContent = 'Copy';
  button.addEventListener('click', () => navigator.clipboard.writeText(pre.innerText));
  pre.append(button);
});
