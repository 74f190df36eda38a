// The page: puts its parts together and starts them.
document.body.append("pcpbox");
